"""Wiring: one SQS batch in, the records that failed out.

The event source mapping deletes what is not named in `batchItemFailures` and delivers the rest again; after the
queue's maximum receive count a message moves to the dead-letter queue.
"""

import json
import logging
import os
from functools import lru_cache
from typing import Any

from contract.jobs import job_name
from contract.messages import AnalysisRequest, MessageInvalid
from lambda_sqs_to_batch.batch_gateway import BatchGateway
from lambda_sqs_to_batch.errors import SubmissionPostponed, SubmissionRefused
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submission import submission_for

logger = logging.getLogger("lambda_sqs_to_batch")
logger.setLevel(logging.INFO)


def handler(event: dict[str, Any], context: object) -> dict[str, list[dict[str, str]]]:
    """Raises SettingsInvalid, which leaves the whole batch in the queue."""
    return submit_all(event["Records"], *_wiring())


@lru_cache(maxsize=1)
def _wiring() -> tuple[Settings, BatchGateway]:
    return Settings.from_environ(os.environ), BatchGateway()


def submit_all(
    records: list[dict[str, Any]], settings: Settings, batch: BatchGateway
) -> dict[str, list[dict[str, str]]]:
    """A record fails alone: its neighbours are submitted."""
    failed = []
    for record in records:
        try:
            _submit(record["body"], settings, batch)
        except MessageInvalid as exc:
            _log("request unreadable", logging.ERROR, message_id=record["messageId"], fault=str(exc))
        except SubmissionRefused as exc:
            _log("submission refused", logging.ERROR, message_id=record["messageId"], fault=str(exc))
        except SubmissionPostponed as exc:
            _log("submission postponed", logging.WARNING, message_id=record["messageId"], fault=str(exc))
        except Exception:
            # A fault of ours that one record brings out must not carry its neighbours to the dead-letter queue.
            logger.exception("unexpected fault, message_id=%s", record["messageId"])
        else:
            continue
        failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _submit(body: str, settings: Settings, batch: BatchGateway) -> None:
    request = AnalysisRequest.from_json(body)
    analysis_id = str(request.analysis_id)
    job_id = batch.existing_job(queue=settings.job_queue, name=job_name(request.analysis_id))
    if job_id is not None:
        _log("job exists already", job_id=job_id, analysis_id=analysis_id)
        return
    job_id = batch.submit(submission_for(request, body, settings))
    _log("job submitted", job_id=job_id, analysis_id=analysis_id)


def _log(event: str, level: int = logging.INFO, **fields: str) -> None:
    """One JSON line per event, for CloudWatch Logs Insights."""
    logger.log(level, json.dumps({"event": event, **fields}))
