"""The jobs of an array: whoever comes when, the rows are those of a single job."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_job.errors import OutOfStep
from batch_job.shares import Share, run_share
from batch_job.values import Chunk, Frame, FrameResult
from contract.options import AnalysisOptions
from tests.batch_job.test_analysis import analysis, undisturbed
from tests.fakes import FakeDetector, FakeResults, FakeVideo

FRAMES, CHUNK_FRAMES = 50, 8
CHUNKS = 7


@dataclass
class FakeShared(FakeResults):
    """Kept by number, as several jobs write them in any order."""

    alone: bool = False
    by_number: dict[int, Chunk] = field(default_factory=dict)

    def chunks(self) -> Iterator[Chunk]:
        return (self.by_number[number] for number in sorted(self.by_number))

    def write_chunk(self, chunk: Chunk, *, frames_total: int | None) -> int:
        self.by_number.setdefault(chunk.number, chunk)
        return len(self.by_number)

    def stored_chunks(self) -> set[int]:
        return set(self.by_number)

    def write_tracks(self, frames: tuple[FrameResult, ...]) -> None:
        for number, chunk in self.by_number.items():
            if chunk.first_frame == frames[0].index:
                self.by_number[number] = replace(chunk, frames=frames)

    def take_alone(self) -> None:
        self.alone = True
        self.by_number.clear()

    def frames(self) -> list[FrameResult]:
        return [frame for chunk in self.chunks() for frame in chunk.frames]


class Unindexed(FakeVideo):
    def exact_frames(self, options: AnalysisOptions) -> int | None:
        return None


class Damaged(FakeVideo):
    """Something is wrong at frame 20."""

    def share(self, options: AnalysisOptions, *, start: int, stop: int) -> Iterator[Frame]:
        for frame in super().share(options, start=start, stop=stop):
            if frame.index == 20:
                raise OutOfStep
            yield frame


def run(
    results: FakeShared,
    index: int,
    size: int,
    *,
    repeated: bool = False,
    broken_at: int | None = None,
    video: FakeVideo | None = None,
) -> bool:
    """Has this job finished the analysis?"""
    job = analysis(results, frames=FRAMES, chunk_frames=CHUNK_FRAMES, detector=FakeDetector(broken_at=broken_at))
    job = replace(job, video=video) if video is not None else job
    return run_share(job, Share(index=index, size=size, repeated=repeated), results) is not None


@given(order=st.permutations(range(9)), size=st.integers(2, 9))
def test_whoever_stores_the_last_chunk_finishes(order: list[int], size: int) -> None:
    """More jobs than chunks, too: some then have nothing to do."""
    results = FakeShared()
    finished = [run(results, index, size) for index in order if index < size]
    assert finished.count(True) == 1
    assert results.rows() == undisturbed(FRAMES)
    assert results.summary is not None
    assert results.summary.frames == FRAMES
    assert not results.alone


@pytest.mark.parametrize("chunks", [1, 2, 7, 100])
@pytest.mark.parametrize("size", [2, 3, 7, 10])
def test_every_chunk_is_somebodys_and_nobody_elses(chunks: int, size: int) -> None:
    shares = [Share(index=index, size=size, repeated=False).of(chunks) for index in range(size)]
    assert [number for share in shares for number in share] == list(range(chunks))


@pytest.mark.parametrize("broken_at", [16, 25, 40])
def test_a_job_that_died_takes_up_its_share_where_it_stopped(broken_at: int) -> None:
    results = FakeShared()
    assert not run(results, 0, 3)
    for index in (1, 2):
        try:
            run(results, index, 3, broken_at=broken_at)
        except MemoryError:
            stored = len(results.stored_chunks())
    assert stored == max(2, broken_at // CHUNK_FRAMES)
    assert [run(results, index, 3, repeated=True) for index in (1, 2)].count(True) >= 1
    assert results.rows() == undisturbed(FRAMES)


def test_a_job_that_died_before_it_could_finish_finishes_in_its_next_attempt() -> None:
    """All chunks are there, and nobody else will look again."""
    results = FakeShared()
    run(results, 0, 2)
    run(results, 1, 2)
    results.summary = None
    assert not run(results, 0, 2)
    assert run(results, 1, 2, repeated=True)
    assert results.rows() == undisturbed(FRAMES)


def test_a_video_that_cannot_be_shared_out_is_the_first_jobs_alone() -> None:
    results = FakeShared()
    assert not run(results, 1, 2, video=Unindexed(FRAMES))
    assert not results.alone
    assert run(results, 0, 2, video=Unindexed(FRAMES))
    assert results.alone
    assert results.rows() == undisturbed(FRAMES)


def test_who_meets_damage_does_everything_alone_and_anew() -> None:
    """The numbers of the frames behind the damage are not known to whoever began behind it."""
    results = FakeShared()
    assert not run(results, 1, 2, video=Damaged(FRAMES))
    assert run(results, 0, 2, video=Damaged(FRAMES))
    assert results.alone
    assert results.rows() == undisturbed(FRAMES)


def test_classes_of_whole_frames_are_not_tracked() -> None:
    """By the job that finishes no more than by a single one."""
    results = FakeShared()
    for index in range(2):
        job = analysis(results, frames=FRAMES, chunk_frames=CHUNK_FRAMES, task="classify", track=True)
        summary = run_share(job, Share(index=index, size=2, repeated=False), results)
    assert summary is not None
    assert (summary.detections, summary.tracks) == (90, 0)
