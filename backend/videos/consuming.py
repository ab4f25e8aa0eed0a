"""Reads messages from SQS and applies them: what AWS Batch and the Lambda tell, and dead letters of requests."""

import json
import logging
from collections.abc import Callable

from django.db import connection

from backend.gateways.incoming_queue import IncomingQueue, ReceivedMessage
from backend.videos.dead_requests import bury_request
from backend.videos.following import follow_job
from backend.videos.held import is_held
from backend.videos.job_events import JobEvent, JobEventInvalid
from backend.videos.problems import DATABASE_AWAY
from contract.notices import JobFound, NoticeInvalid, RequestRefused, notice_in

logger = logging.getLogger(__name__)


Apply = Callable[[ReceivedMessage], bool]  # False leaves the message in the queue


def consume_once(queue: IncomingQueue, apply: Apply) -> int:
    """Applies one batch and returns how many messages came. Raises QueueUnavailable and Django's database errors.

    What could not be applied stays in the queue and comes again, and its neighbours go through.
    """
    # A message received while the database is away would count as tried, and end in the dead-letter queue.
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    messages = queue.receive()
    handled: list[ReceivedMessage] = []
    unread: list[ReceivedMessage] = []
    try:
        for message in messages:
            (handled if _applied(message, apply) else unread).append(message)
    except BaseException:
        queue.release(messages[len(handled) + len(unread) :])
        raise
    finally:
        queue.delete(handled)
    return len(messages)


def apply_job_event(message: ReceivedMessage) -> bool:
    """An event nobody can read goes to the dead-letter queue by the queue's own redrive rule."""
    try:
        if _told_by_lambda(message.body):
            return True
        event = JobEvent.from_json(message.body)
    except (JobEventInvalid, NoticeInvalid) as exc:
        logger.error("job event not readable", extra={"message_id": message.message_id, "fault": str(exc)})
        return False
    if event is None:
        logger.info("event is none of ours", extra={"message_id": message.message_id})
    else:
        follow_job(event=event)
    return True


def _told_by_lambda(body: str) -> bool:
    """Raises NoticeInvalid."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return False
    notice = notice_in(event)
    match notice:
        case RequestRefused(message_id=message_id, body=request, fault=fault):
            bury_request(message_id=message_id, body=request, fault=fault)
        case JobFound(analysis_id=analysis_id, job_id=job_id, job_name=name):
            # The least that can be said of a job; how it stands, AWS Batch is asked later.
            follow_job(event=JobEvent.first_heard_of(analysis_id=analysis_id, job_id=job_id, name=name))
    return notice is not None


def apply_dead_request(message: ReceivedMessage) -> bool:
    bury_request(message_id=message.message_id, body=message.body)
    return True


def _applied(message: ReceivedMessage, apply: Apply) -> bool:
    try:
        return apply(message)
    except DATABASE_AWAY as exc:
        if not is_held(exc):
            raise  # the whole batch has to wait
        logger.warning("message waits for its analysis", extra={"message_id": message.message_id})
        return False
    except Exception:  # a fault that only this message meets must not hold up its neighbours
        logger.exception("message not applied", extra={"message_id": message.message_id})
        return False
