"""The tables. `contract.tables` names those the job writes to; a test holds the two together.

Whatever the job inserts without naming it has a default in the database, because the job does not use Django.
"""

from backend.videos.models.duties import DeadRequest, IdempotencyKey, OutboxMessage, OwedCall
from backend.videos.models.requests import (
    ACTIVE_STATUSES,
    ANALYSIS_STATUSES,
    Analysis,
    AnalysisEvent,
    Video,
    VideoStatus,
)
from backend.videos.models.results import Chunk, Detection, Run, Second, Track

__all__ = [
    "ACTIVE_STATUSES",
    "ANALYSIS_STATUSES",
    "Analysis",
    "AnalysisEvent",
    "Chunk",
    "DeadRequest",
    "Detection",
    "IdempotencyKey",
    "OutboxMessage",
    "OwedCall",
    "Run",
    "Second",
    "Track",
    "Video",
    "VideoStatus",
]
