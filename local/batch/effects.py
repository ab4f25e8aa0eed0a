"""What the scheduler asks to be done, and what it has to tell."""

from dataclasses import dataclass
from typing import Any

from local.batch.jobs import Attempt, Job


@dataclass(frozen=True, slots=True)
class Launch:
    """Make and start the container of the job's current attempt."""

    job: Job
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class SendStop:
    """SIGTERM to the container."""

    job_id: str


@dataclass(frozen=True, slots=True)
class SendKill:
    """SIGKILL to the container."""

    job_id: str


Effect = Launch | SendStop | SendKill


@dataclass(frozen=True, slots=True)
class Change:
    """A job took a new state, or was found to block its queue: what an event tells."""

    detail: dict[str, Any]
    time: float
    blocks_queue: bool = False
