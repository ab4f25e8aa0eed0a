"""Wiring: one SQS batch in, the records that failed out.

The event source mapping deletes what is not named in `batchItemFailures` and delivers the rest again; after the
queue's maximum receive count a message moves to the dead-letter queue.
"""

import os
from functools import lru_cache
from typing import Any

from lambda_sqs_to_batch.batch_gateway import BatchGateway
from lambda_sqs_to_batch.breaker import CircuitBreaker
from lambda_sqs_to_batch.logs import EventLog
from lambda_sqs_to_batch.notices import NoticeQueue
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submitting import Submitter


def handler(event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
    """Raises SettingsInvalid, which leaves the whole batch in the queue."""
    request_id = getattr(context, "aws_request_id", None)
    return _wiring().submit_all(event["Records"], EventLog(request_id=request_id))


@lru_cache(maxsize=1)
def _wiring() -> Submitter:
    settings = Settings.from_environ(os.environ)
    return Submitter(
        settings=settings,
        batch=BatchGateway(),
        notices=NoticeQueue(settings.job_events_queue_url),
        breaker=CircuitBreaker(),
    )


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    _wiring()  # while Lambda starts the function it gives it a whole processor, and afterwards only a part of one
