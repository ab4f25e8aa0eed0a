"""What AWS Batch says of a job, and what that means for its analysis. Decides, and touches nothing."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from contract.errors import ErrorCode
from contract.exit_codes import EXIT_KILLED, EXIT_TRY_AGAIN
from contract.jobs import analysis_id_of, is_on_demand
from contract.statuses import TERMINAL, AnalysisStatus

# The second tells of the job at the head of a queue why it cannot be placed.
DETAIL_TYPES = ("Batch Job State Change", "Batch Job Queue Blocked")
SOURCE = "aws.batch"

# A retried job goes back to RUNNABLE, so states are compared only within the same number of ended attempts.
_ORDER = {
    state: order
    for order, state in enumerate(
        ("", "SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
    )
}
_ENDED = ("SUCCEEDED", "FAILED")
_NOT_STARTED = ("CannotStartContainerError", "CannotCreateContainerError")  # the ECS agent's words
_CHILD_FAILED = "Array Child Job failed"  # AWS Batch's words for the parent
_CONTAINER_ENDED = "Essential container"  # and for a container that nobody ended from outside


class JobEventInvalid(ValueError):
    """The message is not an event of AWS Batch that this code can read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobEvent:
    analysis_id: UUID
    job_id: str
    state: str
    reason: str  # AWS Batch's words
    details: tuple[str, ...]  # all reasons given, of the job, its attempts and its containers
    ended_attempts: int
    ever_started: bool
    on_demand: bool = False  # the job of the last attempt, after Spot machines had been given up
    passing: bool = False  # what ended its last attempt is what AWS Batch tries again while attempts are left

    @property
    def parent_id(self) -> str:
        """Of the array that the job belongs to, or its own id."""
        return _array_of(self.job_id)

    @property
    def rank(self) -> tuple[int, int]:
        return self.ended_attempts, _ORDER[self.state]

    @classmethod
    def first_heard_of(cls, *, analysis_id: UUID, job_id: str, name: str) -> Self:
        return cls(
            analysis_id=analysis_id,
            job_id=job_id,
            state="SUBMITTED",
            reason="",
            details=(),
            ended_attempts=0,
            ever_started=False,
            on_demand=is_on_demand(name),
        )

    @classmethod
    def from_json(cls, text: str) -> Self | None:
        """None for events of other kinds and of jobs that are not ours. Raises JobEventInvalid."""
        try:
            event = json.loads(text)
        except ValueError as exc:
            raise JobEventInvalid("not JSON") from exc
        except RecursionError as exc:
            raise JobEventInvalid("nested too deeply") from exc
        if not isinstance(event, dict) or not isinstance(event.get("detail-type"), str):
            raise JobEventInvalid("not an EventBridge event")
        if event["detail-type"] not in DETAIL_TYPES or event.get("source") != SOURCE:
            return None
        detail = event.get("detail")
        if not isinstance(detail, dict):
            raise JobEventInvalid("detail is missing")
        return cls.from_detail(detail)

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> Self | None:
        """From a job as DescribeJobs tells it, which is what an event has as its detail.

        None for jobs that are not ours. Raises JobEventInvalid.
        """
        name = _text(detail, "jobName")
        analysis_id = analysis_id_of(name)
        if analysis_id is None:
            return None
        state = _text(detail, "status")
        if state not in _ORDER:
            raise JobEventInvalid(f"unknown status {state!r}")
        attempts = detail.get("attempts") or []
        if not isinstance(attempts, list) or not all(isinstance(attempt, dict) for attempt in attempts):
            raise JobEventInvalid("attempts is not a list of objects")
        return cls(
            analysis_id=analysis_id,
            job_id=_text(detail, "jobId"),
            state=state,
            reason=str(detail.get("statusReason") or ""),
            details=tuple(_reasons(detail, attempts)),
            ended_attempts=sum(1 for attempt in attempts if attempt.get("stoppedAt")),
            ever_started=bool(detail.get("startedAt")) or any(attempt.get("startedAt") for attempt in attempts),
            on_demand=is_on_demand(name),
            passing=detail.get("statusReason") == _CHILD_FAILED or any(map(_passes, attempts[-1:])),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What the database knows of an analysis when an event arrives."""

    status: AnalysisStatus
    on_demand: bool
    claim_job_id: str | None
    batch_job_id: str
    batch_state: str
    batch_reason: str
    batch_attempts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Ignore:
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Batch's state moves forward, and with it `queued` to `submitted`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocked:
    """A job of an array cannot be placed. AWS Batch says why of that job alone, never of the array."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Close:
    """The job is over and nobody else will finish the analysis."""

    code: ErrorCode


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """The job is on its way or at work for an analysis that is over, or that is another job's now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """The attempts on Spot machines are used up; the last one is made on an On-Demand machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The job has ended after its analysis: what Batch says of it is kept, and nothing else changes."""


def verdict(event: JobEvent, known: Known) -> Ignore | Note | Blocked | Move | Close | Stop | Record:
    # The job that has succeeded is about to end by itself. Any other would start a machine to find nothing to do.
    done = known.status == AnalysisStatus.SUCCEEDED and event.parent_id == _array_of(known.claim_job_id or "")
    if known.status in TERMINAL and event.state not in _ENDED and not done:
        return Stop()
    if known.status in TERMINAL:
        ended = event.state in _ENDED and event.job_id == known.batch_job_id != ""
        return Record() if ended and known.batch_state not in _ENDED else Ignore(why="the analysis is over")
    if known.on_demand and not event.on_demand:
        return Ignore(why="Spot machines were given up") if event.state in _ENDED else Stop()
    if event.on_demand and not known.on_demand:
        return Ignore(why="nobody has asked for this job")
    # SQS or the Lambda may deliver twice, and then two jobs share an analysis. The one that holds the claim
    # decides its fate; before there is a claim, the one that was heard of first.
    followed = known.claim_job_id or known.batch_job_id or event.job_id
    if event.job_id != event.parent_id:
        # The parent's events tell how far an array is; only a child's own tells why it failed. Once one child has
        # the claim alone, the others do not count.
        if event.state == "FAILED" and followed in (event.job_id, event.parent_id):
            return _end_of(event)
        of_ours = event.state == "RUNNABLE" and known.batch_state == "PENDING" and event.parent_id == followed
        # Of several jobs AWS Batch tells in turn; only another kind of reason is news of the array.
        if of_ours and _kind_of(event.reason) not in ("", _kind_of(known.batch_reason)):
            return Blocked()
        return Ignore(why="one of an array")
    if event.job_id != _array_of(followed):
        return Ignore(why="another job is followed")
    if event.state in _ENDED:
        return _end_of(event)
    rank = known.batch_attempts, _ORDER[known.batch_state]
    # A job that waits is told of again when AWS Batch finds out why.
    says_why = event.rank == rank and event.reason not in ("", known.batch_reason)
    if event.job_id == known.batch_job_id and event.rank <= rank and not says_why:
        return Ignore(why="late or repeated")
    return Note()


def _array_of(job_id: str) -> str:
    """AWS Batch names the jobs of an array `parent:index`."""
    return job_id.partition(":")[0]


def _kind_of(reason: str) -> str:
    """Of why a job cannot be placed: `CAPACITY` of `CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - ...`."""
    return reason.partition(":")[0]


def _end_of(event: JobEvent) -> Move | Close:
    if event.state == "FAILED" and event.passing and not event.on_demand:
        return Move()
    return Close(code=failure_of(event))


def _passes(attempt: Mapping[str, Any]) -> bool:
    """By the same rules as `contract.jobs.RETRY_STRATEGY`, except that a job ended by somebody stays ended."""
    container = attempt.get("container")
    container = container if isinstance(container, dict) else {}
    why = str(attempt.get("statusReason") or "")
    return (
        why.startswith("Host EC2")
        or (why.startswith(_CONTAINER_ENDED) and container.get("exitCode") in (EXIT_TRY_AGAIN, EXIT_KILLED))
        or str(container.get("reason") or "").startswith("CannotPull")
    )


def failure_of(event: JobEvent) -> ErrorCode:
    """Why a job ended without having closed its analysis itself."""
    if event.state == "SUCCEEDED":
        return ErrorCode.JOB_LOST  # the container said it was done, but there is no result
    if any("duration exceeded timeout" in reason for reason in event.details):
        return ErrorCode.JOB_TIMED_OUT
    if any(reason.startswith("Host EC2") for reason in event.details):
        return ErrorCode.INTERRUPTED
    if any(reason.startswith("OutOfMemoryError") for reason in event.details):
        return ErrorCode.OUT_OF_MEMORY
    if any(reason.startswith(_NOT_STARTED) for reason in event.details):
        return ErrorCode.RUNTIME_MISMATCH  # as where nothing is mounted at /opt/runtime, and so there is no Python
    if event.reason == _CHILD_FAILED:  # and its own event has not come
        return ErrorCode.JOB_LOST
    return ErrorCode.JOB_LOST if event.ever_started else ErrorCode.JOB_NEVER_STARTED


def _reasons(detail: Mapping[str, Any], attempts: list[dict[str, Any]]) -> Iterator[str]:
    """Of the job and of its last attempt: what ended an earlier attempt did not end the job."""
    for part in (detail, *attempts[-1:]):
        container = part.get("container")
        for reason in (part.get("statusReason"), container.get("reason") if isinstance(container, dict) else None):
            if isinstance(reason, str) and reason:
                yield reason


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise JobEventInvalid(f"{name} is missing")
    return value
