"""What tests put into the database, and the claim that lets them."""

from uuid import UUID

import numpy as np

from batch_job.claim import Claim, Token
from batch_job.database import Database
from batch_job.store import Store
from batch_job.values import Chunk, Detections, FrameResult
from contract.results import ClassCount, DecodeReport, Summary

REPORT = DecodeReport(
    container="mov",
    codec="h264",
    width=64,
    height=48,
    rotation_degrees=0,
    mirrored=False,
    time_base="1/1000",
    declared_frames=4,
    decoded_frames=4,
    analysed_frames=4,
    skipped=(),
    first_pts_us=0,
    last_pts_us=120_000,
)
SUMMARY = Summary(
    frames=4, detections=5, tracks=2, per_class={"red": ClassCount(detections=5, tracks=2)}, thumbnails=()
)


def frame(index: int, *tracks: int) -> FrameResult:
    """A frame with one detection for each track number; 0 is a detection without a track."""
    many = len(tracks)
    random = np.random.default_rng(index)
    return FrameResult(
        index=index,
        pts_us=40_000 * index + 1,
        detections=Detections(
            boxes=random.random((many, 4), np.float32) * 1000,
            confidence=np.sort(random.random(many, np.float32))[::-1],
            class_id=np.array([track % 3 for track in tracks], np.int16),
        ),
        track_id=np.array(tracks, np.int32),
    )


CHUNKS = [
    Chunk(number=0, frames=(frame(0, 1, 2), frame(1))),
    Chunk(number=1, frames=(frame(2, 0, 2, 0), frame(3, 1))),
]


def claim_of(database: Database, analysis_id: UUID, *, job_id: str = "job-1", attempt: int = 1) -> Claim:
    return Claim(database, Token(analysis_id=analysis_id, job_id=job_id, attempt=attempt))


def taken(database: Database, analysis_id: UUID, *, attempt: int = 1) -> tuple[Claim, Store]:
    claim = claim_of(database, analysis_id, attempt=attempt)
    claim.take()
    return claim, Store(database, claim)
