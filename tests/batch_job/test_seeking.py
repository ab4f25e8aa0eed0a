"""Beginning in the middle: the same frames, the same report, and without decoding everything before."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from batch_job.decoding import Decoder
from batch_job.errors import AnalysisError, OutOfStep
from batch_job.values import Frame
from batch_job.video import Video
from contract.options import AnalysisOptions
from contract.results import DecodeReport
from tests.batch_job.media import numbered, write_video
from tests.batch_job.test_video_properties import MOST_FRAMES, Clip, clips, written

samplings = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"every_nth": st.integers(1, 4)}),
    st.fixed_dictionaries({"frames_per_second": st.floats(1, 60)}),
)


def undisturbed(path: Path, options: AnalysisOptions) -> tuple[list[Frame], list[bool], DecodeReport]:
    """The frames, of each whether something was skipped by then, and the report."""
    with Video(path) as video:
        frames, skipped = [], []
        for frame in video.frames(options):
            frames.append(frame)
            skipped.append(video.damaged())
        return frames, skipped, video.report()


def assert_same(ours: list[Frame], theirs: list[Frame]) -> None:
    assert [(frame.index, frame.pts_us) for frame in ours] == [(frame.index, frame.pts_us) for frame in theirs]
    assert all((one.image == other.image).all() for one, other in zip(ours, theirs, strict=True))


def wounded(path: Path, seed: int, wounds: int) -> None:
    random = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    for place in random.integers(0, len(content), wounds):
        content[place] = int(random.integers(0, 256))
    path.write_bytes(bytes(content))


@settings(max_examples=60)
@given(
    clip=clips(),
    sampling=samplings,
    start=st.integers(1, MOST_FRAMES - 1),
    seed=st.integers(0, 10**9),
    wounds=st.sampled_from((0, 0, 0, 1, 4)),
)
def test_a_resumed_analysis_sees_what_an_undisturbed_one_sees(
    clip: Clip, sampling: dict[str, Any], start: int, seed: int, wounds: int
) -> None:
    """Whole files and damaged ones: to the last pixel, and to the last number of the report."""
    options = AnalysisOptions(**sampling)
    with written(clip) as path:
        wounded(path, seed, wounds)
        try:
            frames, skipped, report = undisturbed(path, options)
            assume(start < len(frames) < 1000)
            after_us = None if skipped[start - 1] else frames[start - 1].pts_us
            with Video(path) as video:
                rest = list(video.frames(options, start=start, after_us=after_us))
                report_of_rest = video.report()
        except (AnalysisError, MemoryError):
            return
    assert_same(rest, frames[start:])
    assert report_of_rest == report


@settings(max_examples=60)
@given(
    clip=clips(),
    sampling=samplings,
    parts=st.integers(2, 4),
    seed=st.integers(0, 10**9),
    wounds=st.sampled_from((0, 0, 0, 1, 4)),
)
def test_shares_make_up_the_whole_or_say_that_they_cannot(
    clip: Clip, sampling: dict[str, Any], parts: int, seed: int, wounds: int
) -> None:
    """An array of jobs: each decodes its own share, and nobody guesses which frame is which."""
    options = AnalysisOptions(**sampling)
    with written(clip) as path:
        wounded(path, seed, wounds)
        try:
            frames, _, report = undisturbed(path, options)
            with Video(path) as video:
                total = video.exact_frames(options)
            assume(len(frames) < 1000)
        except (AnalysisError, MemoryError):
            return
        event(f"{clip.suffix} {clip.kind.codec} {'shared' if total else 'alone'}")
        if total is None:
            return
        bounds = [part * total // parts for part in range(parts + 1)]
        shares: list[Frame] = []
        try:
            for start, stop in pairwise(bounds):
                with Video(path) as video:
                    shares += video.share(options, start=start, stop=stop)
                    if stop == total:
                        video.shared_out(options)
                        report_of_shares = video.report()
        except OutOfStep:
            event("out of step")
            assert wounds or clip.suffix not in ("mp4", "mkv")
            return
    assert_same(shares, frames)
    assert report_of_shares == report


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The times of all pictures that are decoded from now on."""
    times: list[int] = []
    pictures = Decoder._timed

    def told(decoder: Decoder) -> Iterator[Any]:
        for time, picture in pictures(decoder):
            times.append(time)
            yield time, picture

    monkeypatch.setattr(Decoder, "_timed", told)
    return times


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp4", "libx264"), ("mkv", "libx264"), ("ts", "libx264"), ("webm", "libvpx-vp9")]
)
def test_what_comes_long_before_is_not_decoded(
    tmp_path: Path, decoded: list[int], suffix: str, codec: str
) -> None:
    """A job that lost its machine after an hour of video goes on at once."""
    options = {"g": "10", "bf": "2"} if codec == "libx264" else {"g": "10", "deadline": "realtime"}
    path = write_video(tmp_path / f"clip.{suffix}", numbered(100), codec=codec, options=options)
    with Video(path) as video:
        times = [frame.pts_us for frame in video.frames(AnalysisOptions())]
    decoded.clear()
    with Video(path) as video:
        rest = [frame.pts_us for frame in video.frames(AnalysisOptions(), start=75, after_us=times[74])]
    assert rest == times[75:]
    assert len(decoded) < 60  # 25, those from the key frame on, the first of the file, and a second try


def test_a_wrong_time_is_not_believed(tmp_path: Path) -> None:
    """Another file than before, say: nothing is assumed of it."""
    path = write_video(tmp_path / "clip.mp4", numbered(50), time_base=Fraction(1, 1000), options={"g": "10"})
    with Video(path) as video:
        frames = list(video.frames(AnalysisOptions(), start=20, after_us=1))
    assert [frame.index for frame in frames] == list(range(20, 50))
