"""When time alone changes something about a job: its timeout, its SIGKILL, its queue's patience."""

from collections.abc import Mapping
from typing import Any

from local.batch.jobs import Job, JobStatus


def deadlines_of(job: Job, queue: Mapping[str, Any], time_scale: float) -> list[float]:
    """Moments in seconds. `time_scale` is how long one second of Batch's lasts here."""
    if job.stop is not None:
        return [] if job.stop.kill_at is None else [job.stop.kill_at]
    if job.status is JobStatus.RUNNING and job.timeout_seconds is not None and job.started_at is not None:
        # "[...] measured from the job attempt's startedAt timestamp"
        return [job.started_at / 1000 + job.timeout_seconds * time_scale]
    if job.blocked_since is None or job.status_reason is None:
        return []
    limits = (
        action["maxTimeSeconds"]
        for action in queue.get("jobStateTimeLimitActions", ())
        if job.status_reason.startswith(action["reason"])
    )
    return [job.blocked_since + limit * time_scale for limit in limits]
