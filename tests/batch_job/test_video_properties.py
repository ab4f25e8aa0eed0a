"""Decoding, over generated files of many kinds: what comes out is told truly, and what does not is told too.

For a longer look: `pytest --hypothesis-profile thorough tests/batch_job/test_video_properties.py`.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from hypothesis import assume, event, given, reject
from hypothesis import strategies as st

from batch_job.errors import AnalysisError
from batch_job.values import Frame
from batch_job.video import Video
from contract.options import AnalysisOptions
from contract.results import DecodeReport
from tests.batch_job.media import Picture, bar_coded, is_picture, write_video

MP4 = ("mp4", "mov")
DECLARING = ("mp4", "mov", "mkv", "webm", "avi")  # their headers say how much there is
MOST_FRAMES = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """An encoder and where its pictures may go."""

    codec: str
    suffixes: tuple[str, ...]
    pix_fmt: str = "yuv420p"
    sizes: tuple[tuple[int, int], ...] = ((48, 96), (50, 98))  # height and width
    b_frames: int = 0  # at most
    options: tuple[tuple[str, str], ...] = ()


ODD = ((47, 97), (49, 101))
GOOD = (("b", "4000000"),)
KINDS = (
    Kind(codec="libx264", suffixes=(*MP4, "mkv", "ts", "avi", "flv"), b_frames=3),
    Kind(codec="libx264", suffixes=("mp4", "mkv"), pix_fmt="yuv444p", sizes=ODD, b_frames=3),
    Kind(codec="libx264", suffixes=("mp4", "mkv"), pix_fmt="yuv420p10le", b_frames=2),
    Kind(codec="libx265", suffixes=("mp4", "mkv", "ts"), sizes=((64, 96),), b_frames=3),
    Kind(codec="libx265", suffixes=("mp4",), pix_fmt="yuv420p10le", sizes=((64, 96),), b_frames=2),
    Kind(codec="mpeg4", suffixes=(*MP4, "mkv", "ts", "avi"), b_frames=2, options=GOOD),
    Kind(codec="mpeg2video", suffixes=("ts", "mkv"), b_frames=2, options=GOOD),
    Kind(
        codec="libvpx-vp9",
        suffixes=("webm", "mkv", "mp4"),
        sizes=((48, 96), *ODD),
        options=(("deadline", "realtime"), ("cpu-used", "8"), ("lag-in-frames", "0"), ("b", "2000000")),
    ),
    Kind(codec="mjpeg", suffixes=("avi", "mov", "mkv"), pix_fmt="yuvj420p", sizes=((48, 96), *ODD), options=GOOD),
    Kind(codec="ffv1", suffixes=("mkv", "avi"), pix_fmt="bgr0", sizes=((48, 96), *ODD)),
)
RATES = (Fraction(25), Fraction(30), Fraction(30_000, 1001), Fraction(50), Fraction(12))


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """What is in a file: the pictures of bar codes 0 to n - 1, and when each is shown."""

    kind: Kind
    suffix: str
    size: tuple[int, int]
    rate: Fraction
    ticks: tuple[int, ...]
    time_base: Fraction
    b_frames: int
    gop: int
    clockwise: int
    mirrored: bool
    sound_first: bool

    @property
    def times_us(self) -> list[Fraction]:
        return [1_000_000 * tick * self.time_base for tick in self.ticks]

    def pictures(self) -> list[Picture]:
        """As they are stored."""
        height, width = self.size
        return [bar_coded(number, height=height, width=width) for number in range(len(self.ticks))]

    def upright(self) -> list[Picture]:
        turned = [np.rot90(picture, -self.clockwise // 90) for picture in self.pictures()]
        return [picture[:, ::-1] if self.mirrored else picture for picture in turned]

    def write(self, folder: Path) -> Path:
        options = dict(self.kind.options) | {"g": str(self.gop)}
        if self.kind.codec == "libx265":
            options["x265-params"] = f"log-level=none:keyint={self.gop}:bframes={self.b_frames}"
        elif self.kind.b_frames:
            options["bf"] = str(self.b_frames)
        if self.kind.codec == "libx264":
            options["preset"] = "veryfast"
        return write_video(
            folder / f"clip.{self.suffix}",
            self.pictures(),
            pts=self.ticks.__getitem__,
            time_base=self.time_base,
            rate=self.rate,
            codec=self.kind.codec,
            pix_fmt=self.kind.pix_fmt,
            options=options,
            rotation=-self.clockwise % 360,
            hflip=self.mirrored,
            movflags="+faststart" if self.suffix in MP4 else "",
            sound_first=self.sound_first,
        )


@st.composite
def clips(draw: st.DrawFn, suffixes: tuple[str, ...] | None = None) -> Clip:
    choices = [
        (kind, suffix) for kind in KINDS for suffix in kind.suffixes if suffixes is None or suffix in suffixes
    ]
    kind, suffix = draw(st.sampled_from(choices))
    rate = draw(st.sampled_from(RATES))
    # FFmpeg does not know a transport stream by a few packets.
    count = draw(st.integers(10 if suffix == "ts" else 1, MOST_FRAMES))
    b_frames = draw(st.integers(0, kind.b_frames))
    # AVI has a slot for each tick, MPEG-2 a rate; the edit list of an mp4 with B-frames and gaps hides pictures.
    steady = (
        suffix == "avi" or kind.codec == "mpeg2video" or (suffix in MP4 and b_frames > 0) or draw(st.booleans())
    )
    if steady:
        first = 0 if suffix == "avi" else draw(st.integers(0, 200))
        time_base, ticks = 1 / rate, tuple(range(first, first + count))
    else:
        steps = draw(st.lists(st.integers(2, 400), min_size=count - 1, max_size=count - 1))
        time_base, ticks = Fraction(1, 1000), tuple(accumulate(steps, initial=draw(st.integers(0, 5000))))
    turns = suffix in MP4
    return Clip(
        kind=kind,
        suffix=suffix,
        size=draw(st.sampled_from(kind.sizes)),
        rate=rate,
        ticks=ticks,
        time_base=time_base,
        b_frames=b_frames,
        gop=draw(st.integers(1, 12)),
        clockwise=draw(st.sampled_from((0, 90, 180, 270))) if turns else 0,
        mirrored=draw(st.booleans()) if turns else False,
        sound_first=draw(st.booleans()) if suffix in ("mp4", "mov", "mkv", "ts") else False,
    )


@contextmanager
def written(clip: Clip) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = clip.write(Path(folder))
        except (av.error.PatchWelcomeError, av.error.ArgumentError):  # FFmpeg cannot mux every H.265 stream
            reject()
        yield path


def decode(path: Path, start: int = 0, **options: Any) -> tuple[list[Frame], DecodeReport]:
    with Video(path) as video:
        frames = list(video.frames(AnalysisOptions(**options), start=start))
        return frames, video.report()


def packet_times(path: Path) -> list[Fraction]:
    """When the file itself says that its pictures are shown, in microseconds and in order; nothing is decoded."""
    with av.open(str(path)) as container:
        stream = container.streams.best("video")
        assert stream is not None
        packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
        return sorted(1_000_000 * packet.pts * packet.time_base for packet in packets if packet.pts is not None)


def assert_in_order(frames: list[Frame], report: DecodeReport) -> None:
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert all(earlier.pts_us < later.pts_us for earlier, later in pairwise(frames))
    assert report.decoded_frames == report.analysed_frames == len(frames)
    if frames:
        assert (report.first_pts_us, report.last_pts_us) == (frames[0].pts_us, frames[-1].pts_us)


@given(clip=clips())
def test_every_frame_comes_out_once_upright_and_at_its_own_time(clip: Clip) -> None:
    """Whatever the container, codec, size, rate, order of coding, gaps, start, turn, and sound before pictures."""
    with written(clip) as path:
        own = packet_times(path)
        frames, report = decode(path)
    event(f"{clip.suffix} {clip.kind.codec}")
    assert_in_order(frames, report)
    assert len(frames) == len(clip.ticks)
    assert all(is_picture(frame.image, made) for frame, made in zip(frames, clip.upright(), strict=True))
    assert all(abs(frame.pts_us - time) <= 1 for frame, time in zip(frames, own, strict=True))
    # The muxer may have moved the start, and rounded to its ticks.
    shift = frames[0].pts_us - clip.times_us[0]
    assert all(abs(f.pts_us - shift - time) <= 1000 for f, time in zip(frames, clip.times_us, strict=True))
    assert report.declared_frames in (None, len(frames))
    assert report.skipped == ()
    assert (report.rotation_degrees, report.mirrored) == (clip.clockwise, clip.mirrored)


@given(
    clip=clips(("mkv", "mp4", "ts")),
    sampling=st.one_of(
        st.fixed_dictionaries({"every_nth": st.integers(1, 9)}),
        st.fixed_dictionaries({"frames_per_second": st.floats(0.3, 60)}),
    ),
    start=st.integers(0, MOST_FRAMES),
)
def test_sampling_keeps_what_its_rule_says_and_resuming_changes_nothing(
    clip: Clip, sampling: dict[str, Any], start: int
) -> None:
    """Every nth from the first on; or the first at or after each due time, on a grid from the first frame on."""
    with written(clip) as path:
        every, _ = decode(path)
        kept, report = decode(path, **sampling)
        rest, report_of_rest = decode(path, start, **sampling)
    times = [frame.pts_us for frame in every]
    if "every_nth" in sampling:
        wanted = times[:: sampling["every_nth"]]
    else:
        step = 1_000_000 / Fraction(str(sampling["frames_per_second"]))
        dues = range(int((times[-1] - times[0]) / step) + 1)
        wanted = sorted({next(time for time in times if time >= times[0] + due * step) for due in dues})
    assert [frame.pts_us for frame in kept] == wanted
    assert [frame.index for frame in kept] == list(range(len(kept)))
    assert (report.decoded_frames, report.analysed_frames) == (len(times), len(wanted))
    assert [(frame.index, frame.pts_us) for frame in rest] == list(enumerate(wanted))[start:]
    assert report_of_rest == report


@given(clip=clips(DECLARING), part=st.floats(0, 1, exclude_max=True))
def test_what_a_file_was_cut_off_of_is_told(clip: Clip, part: float) -> None:
    """The frames that are left have their own time; never a silent truncation."""
    with written(clip) as path:
        whole, _ = decode(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(part * len(content))])
        try:
            frames, report = decode(path)
        except AnalysisError as refusal:
            event(refusal.code.value)
            return
    assert_in_order(frames, report)
    assert {frame.pts_us for frame in frames} <= {frame.pts_us for frame in whole}
    assert report.declared_frames in (None, len(whole))
    if not frames:  # the job fails with a code of its own
        return
    if len(frames) < len(whole):
        event("cut off")
        assert report.skipped


@given(clip=clips(), seed=st.integers(0, 10**9), wounds=st.integers(1, 40))
def test_damage_anywhere_is_refused_or_told_truly(clip: Clip, seed: int, wounds: int) -> None:
    """Header, index and pictures alike: times rise, counts are right, and a second look sees the same."""
    random = np.random.default_rng(seed)
    with written(clip) as path:
        content = bytearray(path.read_bytes())
        for place in random.integers(0, len(content), wounds):
            content[place] = int(random.integers(0, 256))
        path.write_bytes(bytes(content))
        try:
            frames, report = decode(path)
            assume(len(frames) < 1000)  # a false size of a table of samples; what follows would take long
            again, report_again = decode(path)
            with Video(path) as video:
                video.expected_frames(AnalysisOptions(frames_per_second=2))
                found = dict(video.pictures_at([frame.pts_us for frame in frames[::7]]))
        except (AnalysisError, MemoryError) as refusal:  # a false size that FFmpeg cannot have memory for
            event(type(refusal).__name__)
            return
    assert_in_order(frames, report)
    assert report_again == report
    changed = [one.index for one, other in zip(frames, again, strict=True) if (one.image != other.image).any()]
    assert changed == []
    assert set(found) == {frame.pts_us for frame in frames[::7]}
