"""The job-events consumer: reads AWS Batch's state changes from SQS and applies them."""

import logging

from django.db import connection

from backend.gateways.job_events_queue import JobEventsQueue, ReceivedMessage
from backend.videos.following import follow_job
from backend.videos.job_events import JobEvent, JobEventInvalid
from backend.videos.problems import DATABASE_AWAY

logger = logging.getLogger(__name__)


def consume_once(queue: JobEventsQueue) -> int:
    """Applies one batch and returns how many messages came. Raises QueueUnavailable and Django's database errors.

    What could not be applied stays in the queue and comes again; a message nobody can read goes to the
    dead-letter queue by the queue's own redrive rule, and its neighbours go through.
    """
    # A message received while the database is away would count as tried, and end in the dead-letter queue.
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

    messages = queue.receive()
    handled: list[ReceivedMessage] = []
    unread: list[ReceivedMessage] = []
    try:
        for message in messages:
            (handled if _apply(message) else unread).append(message)
    except BaseException:
        queue.release(messages[len(handled) + len(unread) :])
        raise
    finally:
        queue.delete(handled)
    return len(messages)


def _apply(message: ReceivedMessage) -> bool:
    """False leaves the message in the queue."""
    try:
        event = JobEvent.from_json(message.body)
        if event is None:
            logger.info("event is none of ours", extra={"message_id": message.message_id})
        else:
            follow_job(event=event)
    except JobEventInvalid as exc:
        logger.error("job event not readable", extra={"message_id": message.message_id, "fault": str(exc)})
        return False
    except DATABASE_AWAY:
        raise  # the whole batch has to wait
    except Exception:  # a fault that only this event meets must not hold up its neighbours
        logger.exception("job event not applied", extra={"message_id": message.message_id})
        return False
    return True
