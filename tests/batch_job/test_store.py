"""The job's real SQL against the migrated schema."""

import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_job.claim import Claim, Token
from batch_job.copy_rows import COLUMNS, binary_copy
from batch_job.database import Database
from batch_job.errors import ClaimLost, DatabaseUnavailable, Interrupted, VideoUnreadable
from batch_job.store import Store
from batch_job.values import Chunk, Detections, FrameResult
from contract import tables
from contract.messages import AnalysisRequest
from contract.results import ClassCount, DecodeReport, Summary
from contract.statuses import Stage
from tests.batch_job.job import add_analysis, analysis_row, result_rows
from tests.outage import Proxy

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


@pytest.fixture
def analysis_id(database_url: str) -> UUID:
    request = AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/x", model="colours")
    add_analysis(database_url, request)
    return request.analysis_id


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url, patience_seconds=5)
    yield database
    database.close()


def claim_of(database: Database, analysis_id: UUID, *, job_id: str = "job-1", attempt: int = 1) -> Claim:
    return Claim(database, Token(analysis_id=analysis_id, job_id=job_id, attempt=attempt))


def taken(database: Database, analysis_id: UUID, *, attempt: int = 1) -> tuple[Claim, Store]:
    claim = claim_of(database, analysis_id, attempt=attempt)
    claim.take()
    return claim, Store(database, claim)


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


# --- the claim ---


def test_a_claim_is_told_to_the_user(database_url: str, database: Database, analysis_id: UUID) -> None:
    claim, _ = taken(database, analysis_id)
    claim.enter(Stage.FETCHING)
    row = analysis_row(database_url, analysis_id)
    assert (row["status"], row["stage"], row["claim_job_id"], row["claim_attempt"]) == (
        "running",
        "fetching",
        "job-1",
        1,
    )
    assert row["started_at"] is not None
    assert row["events"] == [("running", "job")]


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_what_has_ended_cannot_be_claimed(database_url: str, database: Database, status: str) -> None:
    """SQS delivers at least once, so a second job may start when the first is long done."""
    request = AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/x", model="colours")
    add_analysis(database_url, request, status=status)
    with pytest.raises(ClaimLost, match=status):
        claim_of(database, request.analysis_id).take()
    assert analysis_row(database_url, request.analysis_id)["events"] == []


def test_another_jobs_claim_stands(database: Database, analysis_id: UUID) -> None:
    taken(database, analysis_id)
    with pytest.raises(ClaimLost, match="job-1"):
        claim_of(database, analysis_id, job_id="job-2").take()


def test_the_next_attempt_takes_over_and_the_first_can_write_no_more(
    database_url: str, database: Database, analysis_id: UUID
) -> None:
    """The first container may still be alive on a machine that was thought lost."""
    first, first_store = taken(database, analysis_id)
    _, second_store = taken(database, analysis_id, attempt=2)
    for write in (
        lambda: first_store.write_chunk(CHUNKS[0], frames_total=4),
        lambda: first_store.finish(summary=SUMMARY, report=REPORT, seconds={}),
        lambda: first.fail(VideoUnreadable()),
        lambda: first.enter(Stage.FINISHING),
        first.take,
    ):
        with pytest.raises(ClaimLost):
            write()
    assert result_rows(database_url, analysis_id)["chunks"] == []
    second_store.write_chunk(CHUNKS[0], frames_total=4)
    assert len(result_rows(database_url, analysis_id)["chunks"]) == 1


def test_a_cancelled_analysis_is_left_alone(database_url: str, database: Database, analysis_id: UUID) -> None:
    _, store = taken(database, analysis_id)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE videos_analysis SET status = 'cancelled'")
    with pytest.raises(ClaimLost, match="cancelled"):
        store.write_chunk(CHUNKS[0], frames_total=4)


def test_an_unknown_analysis_cannot_be_claimed(database: Database, analysis_id: UUID) -> None:
    with pytest.raises(ClaimLost, match="no such analysis"):
        claim_of(database, uuid4()).take()


# --- results ---


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


# --- the database goes away ---


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """The way to the database, which can be cut."""
    address = urlsplit(database_url)
    assert address.hostname is not None
    assert address.port is not None
    with Proxy((address.hostname, address.port)) as proxy:
        yield proxy


def test_a_database_that_comes_back_has_lost_nothing(database_url: str, analysis_id: UUID, proxy: Proxy) -> None:
    """A restart of the server in the middle of an analysis."""
    database = Database(proxy.url_of(database_url), patience_seconds=20)
    _, store = taken(database, analysis_id)
    store.write_chunk(CHUNKS[0], frames_total=4)
    proxy.refuse()
    threading.Timer(1.0, proxy.restore).start()
    store.write_chunk(CHUNKS[1], frames_total=4)
    store.finish(summary=SUMMARY, report=REPORT, seconds={})
    database.close()
    assert analysis_row(database_url, analysis_id)["status"] == "succeeded"
    assert len(result_rows(database_url, analysis_id)["detections"]) == 6


def test_a_database_that_stays_away_is_given_up(database_url: str, analysis_id: UUID, proxy: Proxy) -> None:
    """So that AWS Batch can try again later, on a machine that costs nothing until then."""
    database = Database(proxy.url_of(database_url), patience_seconds=0.5)
    _, store = taken(database, analysis_id)
    proxy.refuse()
    with pytest.raises(DatabaseUnavailable):
        store.write_chunk(CHUNKS[0], frames_total=4)


def test_waiting_for_the_database_can_be_interrupted(database_url: str, analysis_id: UUID, proxy: Proxy) -> None:
    asked = threading.Event()

    def pause(seconds: float) -> None:
        if asked.wait(seconds):
            raise Interrupted

    database = Database(proxy.url_of(database_url), pause=pause)
    _, store = taken(database, analysis_id)
    proxy.refuse()
    threading.Timer(0.3, asked.set).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        store.write_chunk(CHUNKS[0], frames_total=4)
    assert time.monotonic() - started < 10


class LosesAnswers(Database):
    """Commits, and then loses the connection before it hears of it."""

    def __init__(self, url: str) -> None:
        super().__init__(url, patience_seconds=5)
        self._answered = False

    def transact(self, work):  # type: ignore[no-untyped-def]
        def once(connection: psycopg.Connection, repeated: bool):  # type: ignore[no-untyped-def]
            if repeated:
                return work(connection, True)
            with psycopg.connect(self._url) as other:
                work(other, False)
            raise psycopg.OperationalError("the answer was lost")

        return super().transact(once)


def test_lost_answers_change_nothing(database_url: str, analysis_id: UUID) -> None:
    """Every transaction may be repeated after it was committed: claim, chunk, end."""
    database = LosesAnswers(database_url)
    _, store = taken(database, analysis_id)
    for chunk in CHUNKS:
        store.write_chunk(chunk, frames_total=4)
    store.finish(summary=SUMMARY, report=REPORT, seconds={})
    database.close()
    row = analysis_row(database_url, analysis_id)
    assert row["status"] == "succeeded"
    assert row["events"] == [("running", "job"), ("succeeded", "job")]
    assert len(result_rows(database_url, analysis_id)["detections"]) == 6


# --- the jobs of an array, over a lost connection ---


class Repeating(Database):
    """Does every piece of work twice: the first time is `kept`, its answer lost, or rolled back."""

    kept = True

    def transact(self, work: Any) -> Any:
        def lost(connection: psycopg.Connection, repeated: bool) -> Any:
            work(connection, repeated)
            raise Forgotten

        if self.kept:
            super().transact(work)
        else:
            with pytest.raises(Forgotten):
                super().transact(lost)
        return super().transact(lambda connection, _: work(connection, True))


class Forgotten(Exception):
    """Rolls a transaction back."""


@pytest.mark.parametrize("kept", [True, False], ids=["its answer is lost", "it is rolled back"])
def test_who_takes_an_array_alone_has_it_however_often_that_is_tried(
    database_url: str, database: Database, analysis_id: UUID, kept: bool
) -> None:
    """Otherwise others' chunks would be gone, and nobody left who may write."""

    def member(index: int, on: Database) -> tuple[Claim, Store]:
        token = Token(analysis_id=analysis_id, job_id=f"array:{index}", attempt=1, together=True)
        claim = Claim(on, token)
        claim.take()
        return claim, Store(on, claim)

    _, other = member(1, database)
    assert other.made_from("one video")
    assert other.write_chunk(CHUNKS[1], frames_total=4) == 1
    repeating = Repeating(database_url, patience_seconds=5)
    repeating.kept = kept
    claim, alone = member(0, repeating)
    assert not alone.made_from("another video")
    assert not claim.token.together
    assert alone.stored_chunks() == set()
    assert alone.write_chunk(CHUNKS[0], frames_total=4) == 1
    with pytest.raises(ClaimLost):
        other.write_chunk(CHUNKS[1], frames_total=4)
    row = analysis_row(database_url, analysis_id)
    assert (row["claim_job_id"], row["frames_done"], row["inputs"]) == ("array:0", 2, "another video")
    repeating.close()
