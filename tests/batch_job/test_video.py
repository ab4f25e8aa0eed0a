"""Decoding: every frame, upright, at its own time, whatever the file is like."""

import json
import struct
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_job.orientation import Orientation
from batch_job.timeline import to_microseconds
from batch_job.video import Video
from contract.options import AnalysisOptions
from tests.batch_job.media import MILLISECONDS, decode, number_of, numbered, squares, write_video

EVERY = AnalysisOptions()


@given(ticks=st.integers(-(10**12), 10**12), numerator=st.integers(1, 1001), denominator=st.integers(1, 90_000))
def test_times_are_rounded_once_and_exactly(ticks: int, numerator: int, denominator: int) -> None:
    """Half a microsecond is the most by which a stored time differs from the stream's."""
    exact = Fraction(ticks * numerator * 1_000_000, denominator)
    assert abs(to_microseconds(ticks, Fraction(numerator, denominator)) - exact) <= Fraction(1, 2)


@pytest.mark.parametrize(
    "pts",
    [
        pytest.param(lambda n: 40 * n, id="steady"),
        pytest.param(lambda n: 40 * n + 5000, id="does not start at zero"),
        pytest.param(lambda n: 10 * n * n + n, id="variable frame rate"),
        pytest.param(lambda n: 40 * n + (10_000 if n > 5 else 0), id="a gap in the middle"),
    ],
)
def test_time_is_the_streams_own(tmp_path: Path, pts: Callable[[int], int]) -> None:
    """Never index / fps."""
    # Matroska keeps times to the millisecond; an edit list of mp4 would move the start.
    path = write_video(tmp_path / "clip.mkv", numbered(20), pts=pts, options={"bf": "2"})
    frames, report = decode(path)
    assert [frame.pts_us for frame in frames] == [1000 * pts(n) for n in range(20)]
    assert [number_of(frame.image) for frame in frames] == list(range(20))
    assert (report.first_pts_us, report.last_pts_us) == (1000 * pts(0), 1000 * pts(19))


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.integers(1, 300), min_size=1, max_size=12),
    first=st.integers(0, 5000),
    b_frames=st.integers(0, 3),
    gop=st.integers(1, 6),
)
def test_generated_videos_keep_their_times(
    tmp_path: Path, steps: list[int], first: int, b_frames: int, gop: int
) -> None:
    times = [first, *(first + sum(steps[: number + 1]) for number in range(len(steps)))]
    path = write_video(
        tmp_path / "clip.mkv",
        numbered(len(times)),
        pts=times.__getitem__,
        options={"bf": str(b_frames), "g": str(gop)},
    )
    frames, _ = decode(path)
    assert [frame.pts_us for frame in frames] == [1000 * time for time in times]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "size", "suffix"),
    [
        pytest.param("libx264", "yuv420p", (48, 64), "mp4", id="H.264"),
        pytest.param("libx264", "yuv420p10le", (48, 64), "mkv", id="10 bit"),
        pytest.param("libx264", "yuv444p", (47, 63), "mp4", id="odd sides"),
        pytest.param("libx265", "yuv420p", (64, 64), "mp4", id="H.265"),
        pytest.param("mpeg4", "yuv420p", (48, 64), "avi", id="AVI"),
        pytest.param("libvpx-vp9", "yuv420p", (48, 64), "webm", id="WebM"),
        pytest.param("libsvtav1", "yuv420p", (64, 64), "mp4", id="AV1"),
        pytest.param("mpeg4", "yuv420p", (48, 64), "ts", id="transport stream"),
        pytest.param("mjpeg", "yuvj420p", (48, 64), "mov", id="motion JPEG"),
    ],
)
def test_common_files_can_be_read(
    tmp_path: Path, codec: str, pix_fmt: str, size: tuple[int, int], suffix: str
) -> None:
    options = {"x265-params": "log-level=none", "svtav1-params": "lp=1"} if codec[3:] in ("x265", "svtav1") else {}
    pictures = numbered(10, height=size[0], width=size[1])
    tick = Fraction(1, 25) if suffix == "avi" else MILLISECONDS  # AVI has one slot for each tick
    path = write_video(
        tmp_path / f"clip.{suffix}",
        pictures,
        pts=lambda number: int(number / 25 / tick),
        time_base=tick,
        codec=codec,
        pix_fmt=pix_fmt,
        options=options,
    )
    frames, report = decode(path)
    assert [frame.image.shape for frame in frames] == [(*size, 3)] * 10
    assert [later.pts_us - frame.pts_us for frame, later in pairwise(frames)] == [40_000] * 9
    assert (report.height, report.width, report.skipped) == (*size, ())


def test_frames_without_a_time_follow_at_the_declared_rate(tmp_path: Path) -> None:
    """A raw stream tells no times at all."""
    path = write_video(tmp_path / "clip.h264", numbered(10), container="h264", options={"bf": "0"})
    frames, report = decode(path)
    assert [frame.pts_us for frame in frames] == [40_000 * n for n in range(10)]
    assert report.declared_frames is None


CORNERS: dict[tuple[int, bool], tuple[int, int]] = {  # where the upper left corner goes: row, column
    (0, False): (0, 0),
    (0, True): (0, -1),
    (90, False): (0, -1),
    (90, True): (0, 0),
    (180, False): (-1, -1),
    (180, True): (-1, 0),
    (270, False): (-1, 0),
    (270, True): (-1, -1),
}


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("clockwise", [0, 90, 180, 270])
def test_frames_stand_upright(tmp_path: Path, clockwise: int, mirrored: bool) -> None:
    """Telephones store every picture as the sensor lies, and a matrix that says how it was held."""
    pictures = [squares((0, 0, (255, 255, 255)))] * 3
    path = write_video(tmp_path / "clip.mp4", pictures, rotation=(360 - clockwise) % 360, hflip=mirrored)
    frames, report = decode(path)
    turned = clockwise in (90, 270)
    assert frames[0].image.shape == ((160, 96, 3) if turned else (96, 160, 3))
    assert (report.width, report.height) == ((96, 160) if turned else (160, 96))
    assert (report.rotation_degrees, report.mirrored) == (clockwise, mirrored)
    row, column = CORNERS[clockwise, mirrored]
    assert frames[0].image[row, column].mean() > 200
    assert frames[0].image[-1 - row, -1 - column].mean() < 50


def test_a_vertical_flip_is_a_half_turn_and_a_mirroring(tmp_path: Path) -> None:
    """Its angle alone would say that nothing is to be done."""
    frames, report = decode(write_video(tmp_path / "clip.mp4", [squares((0, 0, (255, 255, 255)))], vflip=True))
    assert frames[0].image[-1, 0].mean() > 200
    assert (report.rotation_degrees, report.mirrored) == (180, True)


def test_a_slanted_camera_is_turned_to_the_nearest_quarter() -> None:
    one = 1 << 16
    slant = struct.pack("=9i", 6554, one, 0, -one, 6554, 0, 0, 0, 1 << 30)
    assert Orientation.from_matrix(slant) == Orientation(rotation_degrees=90)


def test_sampling_keeps_the_index_dense_and_the_time_true(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv", numbered(20))
    frames, report = decode(path, AnalysisOptions(every_nth=7))
    assert [(frame.index, frame.pts_us) for frame in frames] == [(0, 0), (1, 280_000), (2, 560_000)]
    assert (report.decoded_frames, report.analysed_frames) == (20, 3)
    frames, _ = decode(path, AnalysisOptions(frames_per_second=5))
    assert [frame.pts_us for frame in frames] == [0, 200_000, 400_000, 600_000]


def test_a_resumed_video_goes_on_with_the_same_frames(tmp_path: Path) -> None:
    """And its report is that of the whole video."""
    path = write_video(tmp_path / "clip.mp4", numbered(20))
    whole, report = decode(path)
    rest, report_of_rest = decode(path, start=13)
    assert [(frame.index, frame.pts_us) for frame in rest] == [(f.index, f.pts_us) for f in whole[13:]]
    assert report_of_rest == report


def test_pictures_are_found_by_their_time(tmp_path: Path) -> None:
    """For thumbnails: by seeking, and the same picture as in the run from the beginning."""
    path = write_video(tmp_path / "clip.mkv", numbered(50), options={"g": "10", "bf": "2"})
    with Video(path) as video:
        found = dict(video.pictures_at([1_640_000, 0, 1_000_000, 77]))
    assert list(found) == [0, 1_000_000, 1_640_000]
    assert [number_of(image) for image in found.values()] == [0, 25, 13]


def test_pictures_are_found_where_nothing_can_be_sought(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.h264", numbered(10), container="h264", options={"bf": "0"})
    with Video(path) as video:
        assert [time for time, _ in video.pictures_at([80_000, 200_000])] == [80_000, 200_000]


def test_the_gpu_decodes_what_is_analysed_and_falls_back_where_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No GPU here: what PyAV is asked for is all that can be seen."""
    path = write_video(tmp_path / "clip.mp4", numbered(3))
    asked, opened = [], av.open

    def told(file: str, *, hwaccel: Any, **options: Any) -> Any:
        asked.append(hwaccel is not None and hwaccel.allow_software_fallback)
        return opened(file, **options)

    monkeypatch.setattr(av, "open", told)
    with Video(path, on_gpu=True) as video:
        assert video.shape == (48, 64)
        frames = list(video.frames(EVERY))
        list(video.pictures_at([frames[1].pts_us]))
    assert asked == [True, False, False]


# --- real clips ---


def test_the_damaged_clip_gives_more_than_a_plain_decoder(videos: Path) -> None:
    """It declares 50 frames, and a decoder that stops at the first error gives 28."""
    frames, report = decode(videos / "corrupted.mp4")
    assert report.declared_frames == 50
    assert len(frames) == report.decoded_frames > 40
    assert len(frames) + len(report.skipped) == 50
    assert report.last_pts_us == 4_900_000


def test_of_several_streams_the_default_one_is_read_at_its_true_times(videos: Path) -> None:
    table = json.loads((videos / "nasa_13013.mp4.stream3.all_frames_info.json").read_text())
    frames, report = decode(videos / "nasa_13013.mp4")
    times = [float(entry["pts_time"]) for entry in table]
    assert (report.width, report.height) == (480, 270)
    assert len(frames) == len(times) == 390
    np.testing.assert_allclose([frame.pts_us / 1e6 for frame in frames], times, atol=1e-6)


def test_the_rotated_clip_stands_upright(videos: Path) -> None:
    frames, report = decode(videos / "nasa_13013_rotated.mp4")
    assert [frame.image.shape for frame in frames] == [(480, 270, 3)] * 17
    assert report.rotation_degrees == 270
