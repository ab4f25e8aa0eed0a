"""A file that was cut off says so also where FFmpeg would not: its own format knows where it ends."""

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest

from batch_job.arriving import ArrivingFile
from batch_job.endings import torn
from batch_job.errors import AnalysisError
from batch_job.video import Video
from contract.options import AnalysisOptions
from tests.batch_job.media import decode, numbered, write_video

KINDS = [
    pytest.param("clip.gif", "gif", "rgb8", id="GIF"),
    pytest.param("clip.apng", "apng", "rgb24", id="APNG"),
    pytest.param("clip.asf", "wmv2", "yuv420p", id="WMV"),
    pytest.param("clip.ts", "libx264", "yuv420p", id="transport stream"),
    pytest.param("clip.mkv", "libx264", "yuv420p", id="Matroska"),
    pytest.param("clip.webm", "libvpx", "yuv420p", id="WebM"),
]


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), KINDS)
def test_no_cut_is_silent(tmp_path: Path, name: str, codec: str, pix_fmt: str) -> None:
    path = write_video(
        tmp_path / name,
        numbered(24),
        pts=lambda number: number,
        time_base=Fraction(1, 25),
        codec=codec,
        pix_fmt=pix_fmt,
    )
    frames, report = decode(path)
    assert (len(frames), report.skipped) == (24, ())
    whole, fewer = path.read_bytes(), 0
    for part in range(1, 40):
        size = len(whole) * part // 40
        path.write_bytes(whole[: size + (size % 188 == 0)])
        try:
            frames, report = decode(path)
        except AnalysisError:
            continue
        if 0 < len(frames) < 24:
            fewer += 1
            assert report.skipped, f"{len(frames)} frames of {size} bytes"
    assert fewer > 3


def test_a_cut_mxf_tells_seconds(tmp_path: Path) -> None:
    """Its header has the duration, whatever follows."""
    path = write_video(
        tmp_path / "clip.mxf",
        numbered(24),
        pts=lambda number: number,
        time_base=Fraction(1, 25),
        codec="mpeg2video",
    )
    assert decode(path)[1].skipped == ()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    frames, report = decode(path)
    assert 0 < len(frames) < 22
    assert report.skipped[-1].reason.endswith("declared seconds")


def test_a_video_that_arrived_whole_is_not_torn(tmp_path: Path) -> None:
    """The job reads it while it comes."""
    content = write_video(tmp_path / "clip.mkv", numbered(24)).read_bytes()
    with ArrivingFile(tmp_path / "arriving", size=len(content)) as file:
        file.add(content)
        with Video(file) as video:
            assert len(list(video.frames(AnalysisOptions()))) == 24
            assert video.report().skipped == ()


def test_a_live_stream_does_not_know_its_length(tmp_path: Path) -> None:
    """Written where nobody can go back, the length in front says that it is unknown."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.content = b""

        def writable(self) -> bool:
            return True

        def write(self, part: bytes) -> int:  # type: ignore[override]
            self.content += part
            return len(part)

    pipe = Pipe()
    with av.open(pipe, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for picture in numbered(24):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        output.mux(stream.encode(None))
    (tmp_path / "live.mkv").write_bytes(pipe.content)
    frames, report = decode(tmp_path / "live.mkv")
    assert (len(frames), report.skipped) == (24, ())


@pytest.mark.parametrize("kind", ["gif", "apng", "asf", "mpegts", "matroska,webm", "mov,mp4"])
@pytest.mark.parametrize("content", [b"", b"\0", b"\x18\x53\x80\x67", b"\x18\x53\x80\x67\0"], ids=repr)
def test_rubbish_is_looked_at_without_a_crash(tmp_path: Path, kind: str, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert torn(tmp_path / "x", kind) == (kind in ("gif", "apng"))
