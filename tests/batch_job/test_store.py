"""The job's real SQL against the migrated schema."""

import struct
from dataclasses import replace
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_job.copy_rows import COLUMNS, binary_copy
from batch_job.database import Database
from batch_job.errors import VideoUnreadable
from batch_job.values import Chunk
from contract import tables
from contract.messages import AnalysisRequest
from tests.batch_job.job import add_analysis, analysis_row, result_rows
from tests.batch_job.stored import CHUNKS, REPORT, SUMMARY, frame, taken


def assert_same_frames(some: list[Chunk], others: list[Chunk]) -> None:
    assert [chunk.number for chunk in some] == [chunk.number for chunk in others]
    for one, other in zip(some, others, strict=True):
        for a, b in zip(one.frames, other.frames, strict=True):
            assert (a.index, a.pts_us) == (b.index, b.pts_us)
            np.testing.assert_array_equal(a.detections.boxes, b.detections.boxes)
            np.testing.assert_array_equal(a.detections.confidence, b.detections.confidence)
            np.testing.assert_array_equal(a.detections.class_id, b.detections.class_id)
            np.testing.assert_array_equal(a.track_id, b.track_id)
            assert len(a.detections.shapes) == len(b.detections.shapes)
            for some_shape, other_shape in zip(a.detections.shapes, b.detections.shapes, strict=True):
                np.testing.assert_array_equal(some_shape, other_shape)


def test_chunks_come_back_exactly_as_they_were_written(
    database_url: str, database: Database, analysis_id: UUID
) -> None:
    """The tracker is rebuilt from them, so every bit counts."""
    _, store = taken(database, analysis_id)
    for chunk in CHUNKS:
        store.write_chunk(chunk, frames_total=10)
    assert_same_frames(list(store.chunks()), CHUNKS)
    assert_same_frames([Chunk(number=0, frames=(store.frame(2),))], [Chunk(number=0, frames=(frame(2, 0, 2, 0),))])
    row = analysis_row(database_url, analysis_id)
    assert (row["frames_done"], row["frames_total"], row["stage"]) == (4, 10, "analysing")
    detections = result_rows(database_url, analysis_id)["detections"]
    assert [(index, ordinal, track) for index, ordinal, _, _, track, *_ in detections] == [
        (0, 0, 1),
        (0, 1, 2),
        (2, 0, None),
        (2, 1, 2),
        (2, 2, None),
        (3, 0, 1),
    ]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.lists(st.lists(st.integers(1, 700), max_size=6), min_size=1, max_size=8), seed=st.integers(0, 99)
)
def test_shapes_of_every_length_come_back_exactly(
    database_url: str, database: Database, lengths: list[list[int]], seed: int
) -> None:
    """Outlines differ in length from box to box, and a resumed analysis draws and exports the stored ones."""
    random = np.random.default_rng(seed)
    frames = []
    for index, of_frame in enumerate(lengths):
        plain = frame(index, *random.integers(0, 3, len(of_frame)))
        shapes = tuple(random.normal(0, 500, length).astype(np.float32) for length in of_frame)
        frames.append(replace(plain, detections=replace(plain.detections, shapes=shapes)))
    chunk = Chunk(number=0, frames=tuple(frames))
    request = AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/x", model="colours")
    add_analysis(database_url, request)
    _, store = taken(database, request.analysis_id)
    store.write_chunk(chunk, frames_total=None)
    assert_same_frames(list(store.chunks()), [chunk])
    last = Chunk(number=0, frames=(store.frame(len(frames) - 1),))
    assert_same_frames([last], [Chunk(number=0, frames=(frames[-1],))])


def test_what_postgresql_itself_reads_in_a_shape_is_what_was_written(
    database_url: str, database: Database, analysis_id: UUID
) -> None:
    """An array of one dimension from 1 on, as every other client expects it; NULL where the task has none."""
    _, store = taken(database, analysis_id)
    shape = np.array([1.5, -2.25, 1e-30], np.float32)
    plain = frame(0, 0)
    store.write_chunk(
        Chunk(
            number=0,
            frames=(replace(plain, detections=replace(plain.detections, shapes=(shape,))),),
        ),
        frames_total=None,
    )
    store.write_chunk(Chunk(number=1, frames=(frame(1, 1),)), frames_total=None)
    with psycopg.connect(database_url) as connection:
        query = (
            "SELECT shape, array_ndims(shape), array_lower(shape, 1) FROM videos_detection ORDER BY frame_index"
        )
        assert connection.execute(query).fetchall() == [([1.5, -2.25, 1e-30], 1, 1), (None, None, None)]


def test_a_total_that_was_too_low_grows(database_url: str, database: Database, analysis_id: UUID) -> None:
    """A header may declare fewer frames than there are; progress never exceeds 100 %."""
    _, store = taken(database, analysis_id)
    store.write_chunk(CHUNKS[0], frames_total=1)
    assert analysis_row(database_url, analysis_id)["frames_total"] == 2


def test_a_chunk_written_twice_is_there_once(database_url: str, database: Database, analysis_id: UUID) -> None:
    """The commit may have succeeded although its answer was lost."""
    _, store = taken(database, analysis_id)
    store.write_chunk(CHUNKS[0], frames_total=4)
    before = result_rows(database_url, analysis_id)
    store.write_chunk(CHUNKS[0], frames_total=4)
    assert result_rows(database_url, analysis_id) == before


def test_the_end_writes_tracks_and_summary(database_url: str, database: Database, analysis_id: UUID) -> None:
    _, store = taken(database, analysis_id)
    for chunk in CHUNKS:
        store.write_chunk(chunk, frames_total=10)
    assert result_rows(database_url, analysis_id)["seconds"] == []
    assert store.counts() == {0: (2, 0), 1: (2, 1), 2: (2, 1)}
    store.finish(summary=SUMMARY, report=REPORT, seconds={"decode": 1.23456})
    row = analysis_row(database_url, analysis_id)
    assert (row["status"], row["stage"], row["frames_done"], row["frames_total"]) == ("succeeded", "", 4, 4)
    assert row["summary"]["per_class"] == {"red": {"detections": 5, "tracks": 2}}
    assert row["decode_report"]["codec"] == "h264"
    assert row["stage_seconds"] == {"decode": 1.235}
    assert row["finished_at"] is not None
    assert row["events"] == [("running", "job"), ("succeeded", "job")]
    tracks = result_rows(database_url, analysis_id)["tracks"]
    assert [track[:7] for track in tracks] == [(1, 1, 0, 3, 1, 120_001, 2), (2, 2, 0, 2, 1, 80_001, 2)]
    mean = np.mean([frame(0, 1, 2).detections.confidence[0], frame(3, 1).detections.confidence[0]])
    assert tracks[0][7] == pytest.approx(float(mean), abs=1e-6)


def test_a_failure_is_told_with_its_code_and_sentence(
    database_url: str, database: Database, analysis_id: UUID
) -> None:
    claim, _ = taken(database, analysis_id)
    claim.fail(VideoUnreadable("moov atom not found in /scratch/x"))
    row = analysis_row(database_url, analysis_id)
    assert (row["status"], row["error_code"], row["error_retryable"]) == ("failed", "video_unreadable", False)
    assert "/scratch" not in row["error_message"]
    assert row["events"][-1] == ("failed", "job")


def test_the_columns_are_the_contracts() -> None:
    """`analysis_id` is the only one the copied rows take from elsewhere."""
    assert COLUMNS == tables.DETECTION_COLUMNS


def test_the_binary_rows_are_what_postgresql_documents() -> None:
    """Signature, flags, header extension; fields with their lengths; trailer."""
    data = binary_copy(UUID(int=7), [frame(5, 0)])
    assert data[:19] == b"PGCOPY\n\xff\r\n\0" + bytes(8)
    assert struct.unpack(">hi", data[19:25]) == (12, 16)
    assert data[25:41] == UUID(int=7).bytes
    assert struct.unpack(">iq", data[41:53]) == (8, 5)
    assert data.endswith(b"\xff\xff")
    assert struct.pack(">i", -1) in data
    assert binary_copy(UUID(int=7), [frame(1)]) == data[:19] + b"\xff\xff"
