"""One job: what was asked, where it stands, and what became of its attempts."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from local.batch.capacity import Resources, resources_of
from local.batch.fairshare import Candidate

ESSENTIAL_CONTAINER = "Essential container in task exited"
TIMED_OUT = "Job attempt duration exceeded timeout"
TASK_FAILED_TO_START = "Task failed to start"
DEPENDENCY_FAILED = "Dependent Job failed"
CHILD_FAILED = "Array Child Job failed"


class JobStatus(StrEnum):
    SUBMITTED = "SUBMITTED"  # not yet looked at by the scheduler
    PENDING = "PENDING"  # waits for another job; or the parent of an array whose children are at work
    RUNNABLE = "RUNNABLE"  # waits for room in a compute environment
    STARTING = "STARTING"  # has its room; the container is being made
    RUNNING = "RUNNING"  # the container runs
    SUCCEEDED = "SUCCEEDED"  # an attempt ended with exit code 0
    FAILED = "FAILED"  # no attempt will follow


FINISHED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED})
PLACED = frozenset({JobStatus.STARTING, JobStatus.RUNNING})


class StopCause(StrEnum):
    TERMINATED = "terminated"  # TerminateJob
    TIMED_OUT = "timed out"
    HOST_LOST = "host lost"  # Spot took the machine


@dataclass(frozen=True, slots=True)
class Stop:
    cause: StopCause
    reason: str
    kill_at: float | None  # seconds; SIGKILL follows the SIGTERM then, unless it has been sent


@dataclass(slots=True)
class Attempt:
    """One run of the container. Times in milliseconds, as in the API."""

    number: int
    compute_environment: str
    container_instance_arn: str
    task_arn: str
    log_stream_name: str
    started_at: int | None = None
    stopped_at: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    status_reason: str | None = None


@dataclass(slots=True)
class Job:
    id: str
    arn: str
    name: str
    queue_arn: str
    definition_arn: str
    definition_name: str
    created_at: int
    order: int
    container: dict[str, Any]  # the definition's containerProperties under the submission's overrides
    retry_strategy: dict[str, Any]
    timeout_seconds: int | None = None
    depends_on: list[dict[str, str]] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    share: str | None = None
    priority: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    propagate_tags: bool = False
    platform_capabilities: list[str] = field(default_factory=lambda: ["EC2"])
    array_size: int | None = None
    parent_id: str | None = None
    index: int | None = None

    status: JobStatus = JobStatus.SUBMITTED
    status_reason: str | None = None
    started_at: int | None = None
    stopped_at: int | None = None
    attempts: list[Attempt] = field(default_factory=list)  # ended ones
    current: Attempt | None = None
    stop: Stop | None = None
    blocked_since: float | None = None
    cancel_reason: str | None = None  # CancelJob's, on an array parent until its children are done
    is_cancelled: bool = False
    is_terminated: bool = False
    resources: Resources = field(init=False)
    candidate: Candidate = field(init=False)

    def __post_init__(self) -> None:
        self.resources = resources_of(self.container)
        # Children of one array share its place in the line; their index decides among them.
        place = self.order * 10_000 + (self.index or 0)
        # A queue without shares has no priorities either: first in, first out.
        priority = 0 if self.share is None else self.priority
        self.candidate = Candidate(self.id, self.share or "", priority, place)

    @property
    def is_array_parent(self) -> bool:
        return self.array_size is not None and self.index is None

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def attempt_number(self) -> int:
        return len(self.attempts) + 1
