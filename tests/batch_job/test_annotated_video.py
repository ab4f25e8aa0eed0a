"""The video with its boxes, as a player would find it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_job.annotated_video import with_boxes, write_mp4
from batch_job.values import Detections, Frame, FrameResult, Image
from tests.batch_job.media import Picture, number_of, numbered


def result(pts_us: int, *, left: float = 8) -> FrameResult:
    """One box of 16x16 pixels, 8 below the upper edge."""
    return FrameResult(
        index=0,
        pts_us=pts_us,
        detections=Detections(
            boxes=np.array([(left, 24, left + 16, 40)], np.float32),
            confidence=np.ones(1, np.float32),
            class_id=np.zeros(1, np.int16),
        ),
        track_id=np.ones(1, np.int32),
    )


def written(path: Path, times: Iterable[int], pictures: Iterable[Picture]) -> Path:
    write_mp4(path, zip(times, pictures, strict=True))
    return path


def played(path: Path) -> list[tuple[int, Picture]]:
    """Time in microseconds and picture of every frame."""
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        assert stream.time_base is not None
        return [
            (round(frame.pts * stream.time_base * 1_000_000), frame.to_ndarray(format="bgr24"))
            for frame in container.decode(stream)
            if frame.pts is not None
        ]


def test_every_browser_can_play_it_while_it_loads(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4", [0, 40_000, 80_000], numbered(3))
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (64, 48)
        assert container.duration == 120_000
    content = path.read_bytes()
    assert content[4:8] == b"ftyp"
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(
    "times",
    [
        pytest.param([0, 40_000, 80_000, 120_000], id="constant rate"),
        pytest.param([0, 33_333, 200_001, 200_002, 5_000_000], id="variable rate"),
        pytest.param([1_400_007, 1_440_007, 1_800_000_000], id="late start"),
        pytest.param([7], id="one frame"),
    ],
)
def test_times_are_the_streams_own(tmp_path: Path, times: list[int]) -> None:
    """So that a detection's time is the place in the video, to the microsecond."""
    frames = played(written(tmp_path / "a.mp4", times, numbered(len(times))))
    assert [time for time, _ in frames] == times
    assert [number_of(picture) for _, picture in frames] == list(range(len(times)))


@pytest.mark.parametrize(
    ("times", "shown"),
    [
        pytest.param([-80_000, -40_000, 0], [0, 40_000, 80_000], id="before zero"),
        pytest.param(
            [0, 40_000, 2**61, 2**61 + 40_000], [0, 40_000, 2_000_040_000, 2_000_080_000], id="far ahead"
        ),
    ],
)
def test_a_clock_mp4_cannot_hold_still_shows_every_frame(
    tmp_path: Path, times: list[int], shown: list[int]
) -> None:
    frames = played(written(tmp_path / "a.mp4", times, numbered(len(times))))
    assert [time for time, _ in frames] == shown
    assert [number_of(picture) for _, picture in frames] == list(range(len(times)))


@pytest.mark.parametrize(("width", "height"), [(65, 49), (64, 49), (1, 1), (2, 300)])
def test_odd_sides_grow_by_one_pixel(tmp_path: Path, width: int, height: int) -> None:
    ((_, picture),) = played(written(tmp_path / "a.mp4", [0], numbered(1, width=width, height=height)))
    assert picture.shape == (height + height % 2, width + width % 2, 3)


def test_colours_are_those_of_the_video(tmp_path: Path) -> None:
    """Players guess another matrix for small pictures than for large ones where none is named."""
    red = np.full((64, 64, 3), (20, 30, 200), np.uint8)
    ((_, picture),) = played(written(tmp_path / "a.mp4", [0], [red]))
    np.testing.assert_allclose(picture.reshape(-1, 3).mean(axis=0), (20, 30, 200), atol=4)
    with av.open(str(tmp_path / "a.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_primaries, context.color_trc, context.color_range) == (
            1,
            1,
            1,
            1,
        )


def test_the_next_attempt_makes_the_same_file(tmp_path: Path) -> None:
    some, other = (written(tmp_path / name, range(0, 2_000_000, 40_000), numbered(50)) for name in ("a", "b"))
    assert some.read_bytes() == other.read_bytes()


# --- boxes ---


def frames_at(*times: int) -> Iterator[Frame]:
    for index, pts_us in enumerate(times):
        yield Frame(index=index, pts_us=pts_us, image=np.zeros((48, 64, 3), np.uint8))


def left_edge(picture: Image) -> int | None:
    """The column at which a box begins, looked for in a row below its label."""
    bright = np.flatnonzero(picture[36].max(axis=1) > 60)
    return int(bright[0]) if len(bright) else None


def test_boxes_are_drawn_at_their_place_and_time() -> None:
    results = (result(40_000 * n, left=8 * n) for n in range(1, 5))
    drawn = list(with_boxes(frames_at(*range(40_000, 200_000, 40_000)), results, ["box"], task="detect"))
    assert [(pts_us, left_edge(picture)) for pts_us, picture in drawn] == [
        (40_000 * n, pytest.approx(8 * n, abs=1)) for n in range(1, 5)
    ]


@given(chosen=st.lists(st.booleans(), max_size=12).map(lambda rest: [True, *rest]))
def test_a_frame_that_was_not_analysed_shows_the_boxes_of_the_last_one_that_was(chosen: list[bool]) -> None:
    """Boxes in one frame of ten would be flicker."""
    lefts = {n: 4.0 * (1 + n % 9) for n, analysed in enumerate(chosen) if analysed}
    results = (result(1000 * n, left=left) for n, left in lefts.items())
    drawn = with_boxes(frames_at(*range(0, 1000 * len(chosen), 1000)), results, ["box"], task="detect")
    last = 0.0
    for n, (pts_us, picture) in enumerate(drawn):
        last = lefts.get(n, last)
        assert (pts_us, left_edge(picture)) == (1000 * n, pytest.approx(last, abs=1))


def test_large_frames_are_made_smaller() -> None:
    frames = iter([Frame(index=0, pts_us=0, image=np.zeros((2160, 3840, 3), np.uint8))])
    ((_, picture),) = with_boxes(frames, iter([result(0)]), ["box"], task="detect")
    assert picture.shape == (1080, 1920, 3)
