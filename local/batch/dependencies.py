"""Whether a job may become RUNNABLE ("Job dependencies" and "Array jobs" in the AWS Batch user guide)."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

from local.batch.errors import ClientException
from local.batch.jobs import Job, JobStatus


class Readiness(Enum):
    WAITS = auto()
    READY = auto()
    HOPELESS = (
        auto()
    )  # "If any of the job dependencies fail, the dependent job [...] transitions from PENDING to FAILED."


def check_others(parameters: Mapping[str, Any], jobs: Mapping[str, Job]) -> None:
    """Of SubmitJob: the jobs that are waited for exist. Raises ClientException."""
    for dependency in parameters.get("dependsOn", ()):
        other_id = dependency.get("jobId")
        if other_id is None:
            continue
        other = jobs.get(other_id)
        if other is None:
            raise ClientException(f"Job dependency {other_id} does not exist.")
        if dependency.get("type") == "N_TO_N" and other.array_size != parameters["arrayProperties"].get("size"):
            raise ClientException(f"N_TO_N dependency {other_id} is not an array job of the same size.")


def readiness(job: Job, jobs: Mapping[str, Job]) -> Readiness:
    states = [_one(job, dependency, jobs) for dependency in job.depends_on]
    if Readiness.HOPELESS in states:
        return Readiness.HOPELESS
    return Readiness.WAITS if Readiness.WAITS in states else Readiness.READY


def _one(job: Job, dependency: Mapping[str, str], jobs: Mapping[str, Job]) -> Readiness:
    match dependency.get("type"):
        case "SEQUENTIAL":
            # "[...] each child array job completes sequentially, starting at index 0."
            awaited = f"{job.parent_id}:{job.index - 1}" if job.index else None
        case "N_TO_N":
            # "[...] each index child of this job must wait for the corresponding index child of each dependency"
            awaited = f"{dependency['jobId']}:{job.index}"
        case _:
            awaited = dependency["jobId"]
    if awaited is None:
        return Readiness.READY
    other = jobs.get(awaited)
    if other is None or not other.is_finished:
        return Readiness.WAITS
    return Readiness.READY if other.status is JobStatus.SUCCEEDED else Readiness.HOPELESS
