"""What becomes of each record: a job, a word to the worker, or another delivery."""

import traceback
from dataclasses import dataclass, field
from typing import Any, Protocol

from contract.jobs import job_name
from contract.messages import AnalysisRequest, MessageInvalid
from contract.notices import JobFound, Notice, RequestRefused
from lambda_sqs_to_batch.breaker import CircuitBreaker
from lambda_sqs_to_batch.errors import SubmissionPostponed, SubmissionRefused
from lambda_sqs_to_batch.logs import EventLog
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submission import submission_for


class Batch(Protocol):
    """Both raise SubmissionPostponed or SubmissionRefused."""

    def existing_job(self, *, queue: str, name: str) -> str | None: ...

    def submit(self, arguments: Any) -> str: ...


class Notices(Protocol):
    def send(self, notice: Notice) -> None:
        """Raises SubmissionPostponed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitter:
    settings: Settings
    batch: Batch
    notices: Notices
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)

    def submit_all(self, records: list[dict[str, Any]], log: EventLog) -> dict[str, list[dict[str, str]]]:
        """A record fails alone: its neighbours are submitted. The answer names what shall be delivered again."""
        left = [
            {"itemIdentifier": record["messageId"]}
            for record in records
            if not self._done_with(
                record,
                log.bound(
                    message_id=record["messageId"],
                    receive_count=record.get("attributes", {}).get("ApproximateReceiveCount"),
                ),
            )
        ]
        return {"batchItemFailures": left}

    def _done_with(self, record: dict[str, Any], log: EventLog) -> bool:
        try:
            self._submit(record, log)
        except SubmissionPostponed as exc:
            log.warning("submission postponed", fault=str(exc))
            return False
        except Exception as exc:  # noqa: BLE001 - what one record brings out must not carry its neighbours along
            log.error("unexpected fault", fault=f"{type(exc).__name__}: {exc}", trace=traceback.format_exc())
            return False
        return True

    def _submit(self, record: dict[str, Any], log: EventLog) -> None:
        body = record["body"]
        try:
            request = AnalysisRequest.from_json(body)
            log = log.bound(analysis_id=request.analysis_id)
            job_id, found = self._job_of(request, body)
        except (MessageInvalid, SubmissionRefused) as exc:
            # No delivery would change that, and its user need not wait until all of them are used up.
            self.notices.send(RequestRefused(message_id=record["messageId"], body=body, fault=str(exc)))
            log.error("request refused", fault=str(exc))
            return
        if found:
            # All events of this job may have been lost; a worker that hears of none sends the request again.
            self.notices.send(JobFound(analysis_id=request.analysis_id, job_id=job_id, job_name=_name(request)))
        log.info("job exists already" if found else "job submitted", job_id=job_id)

    def _job_of(self, request: AnalysisRequest, body: str) -> tuple[str, bool]:
        """Its id, and whether it was there before. Raises SubmissionPostponed or SubmissionRefused."""
        with self.breaker.guarding():
            queue = self.settings.queue_for(request)
            job_id = self.batch.existing_job(queue=queue, name=_name(request))
            if job_id is not None:
                return job_id, True
            return self.batch.submit(submission_for(request, body, self.settings)), False


def _name(request: AnalysisRequest) -> str:
    return job_name(request.analysis_id, on_demand=request.on_demand)
