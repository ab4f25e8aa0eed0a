"""Statuses of an analysis, the stages inside `running`, and the transitions that exist."""

from enum import StrEnum


class AnalysisStatus(StrEnum):
    QUEUED = "queued"  # row and outbox row committed; the message may not be sent yet
    SUBMITTED = "submitted"  # AWS Batch has the job; its own state and reason are kept beside this one
    RUNNING = "running"  # exactly one container holds the claim
    SUCCEEDED = "succeeded"  # every chunk and the summary are committed
    FAILED = "failed"  # terminal: a code, a sentence and whether asking again may help
    CANCELLED = "cancelled"  # the owner asked for it


class Stage(StrEnum):
    """What a running job is doing; shown to the user beside the progress."""

    STARTING = "starting"  # runtime checked, model loading
    FETCHING = "fetching"  # the video comes from S3
    ANALYSING = "analysing"  # frames are decoded, detected, tracked and stored
    FINISHING = "finishing"  # tracks, thumbnails and summary
    DRAWING = "drawing"  # the annotated video, where it was asked for


TERMINAL: frozenset[AnalysisStatus] = frozenset(
    {AnalysisStatus.SUCCEEDED, AnalysisStatus.FAILED, AnalysisStatus.CANCELLED}
)

# `queued -> running` exists because a job may start before the worker has read the event that it was submitted.
# `running -> running` is the next attempt of the same Batch job taking the claim over from a dead one. Back to
# `queued` leads one way alone: Spot machines have been given up, and the request is sent again for On-Demand.
TRANSITIONS: dict[AnalysisStatus, frozenset[AnalysisStatus]] = {
    AnalysisStatus.QUEUED: frozenset(
        {AnalysisStatus.SUBMITTED, AnalysisStatus.RUNNING, AnalysisStatus.FAILED, AnalysisStatus.CANCELLED}
    ),
    AnalysisStatus.SUBMITTED: frozenset(
        {AnalysisStatus.QUEUED, AnalysisStatus.RUNNING, AnalysisStatus.FAILED, AnalysisStatus.CANCELLED}
    ),
    AnalysisStatus.RUNNING: frozenset(
        {
            AnalysisStatus.QUEUED,
            AnalysisStatus.RUNNING,
            AnalysisStatus.SUCCEEDED,
            AnalysisStatus.FAILED,
            AnalysisStatus.CANCELLED,
        }
    ),
    AnalysisStatus.SUCCEEDED: frozenset(),
    AnalysisStatus.FAILED: frozenset(),
    AnalysisStatus.CANCELLED: frozenset(),
}


def may_become(target: AnalysisStatus) -> list[str]:
    """The statuses from which `target` can be reached, for `WHERE status = ANY(...)`."""
    return sorted(source.value for source, targets in TRANSITIONS.items() if target in targets)
