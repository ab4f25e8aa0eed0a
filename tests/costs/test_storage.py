"""The size of a stored detection, on which the cost of the database rests, is measured."""

from uuid import uuid4

import numpy as np
import psycopg
import pytest

from batch_job.claim import Claim, Token
from batch_job.database import Database
from batch_job.store import Store
from batch_job.values import Chunk, Detections, FrameResult
from contract import tables
from contract.messages import AnalysisRequest
from costs.environments import BYTES_PER_DETECTION
from costs.inputs import Workload
from tests.batch_job.job import add_analysis

PER_FRAME, CHUNK_FRAMES, CHUNKS = 3, 128, 40


def frame(index: int) -> FrameResult:
    """Two detections of tracks and one without."""
    return FrameResult(
        index=index,
        pts_us=33_333 * index,
        detections=Detections(
            boxes=np.full((PER_FRAME, 4), index, np.float32),
            confidence=np.full(PER_FRAME, 0.5, np.float32),
            class_id=np.zeros(PER_FRAME, np.int16),
        ),
        track_id=np.array([1, 2, 0], np.int32),
    )


def test_postgresql_needs_as_many_bytes_for_a_detection_as_the_costs_say(database_url: str):
    assert Workload().detections_per_frame == PER_FRAME
    request = AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/x", model="colours")
    add_analysis(database_url, request)
    database = Database(database_url)
    claim = Claim(database, Token(analysis_id=request.analysis_id, job_id="job-1", attempt=1))
    claim.take()
    store = Store(database, claim)

    for number in range(CHUNKS):
        indices = range(number * CHUNK_FRAMES, (number + 1) * CHUNK_FRAMES)
        store.write_chunk(Chunk(number=number, frames=tuple(map(frame, indices))), frames_total=None)

    database.close()
    with psycopg.connect(database_url) as connection:
        query = "SELECT pg_total_relation_size(%s) + pg_total_relation_size(%s)"
        row = connection.execute(query, [tables.DETECTION, tables.CHUNK]).fetchone()
    assert row is not None
    assert row[0] / (CHUNKS * CHUNK_FRAMES * PER_FRAME) == pytest.approx(BYTES_PER_DETECTION, rel=0.1)
