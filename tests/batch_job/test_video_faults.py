"""Files that are not what they should be, and machines that fail while one is read."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import av
import av.error
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch_job.container import open_container
from batch_job.decoding import Decoder
from batch_job.errors import RuntimeMismatch, VideoEmpty, VideoUnreadable, VideoWithoutFrames
from batch_job.video import Video
from contract.options import AnalysisOptions
from tests.batch_job.media import Picture, decode, marching, numbered, write_video

EVERY = AnalysisOptions()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"this is a text that calls itself a video\n" * 50, "it has no index", id="text"),
        pytest.param(
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n",
            "it has no index",
            id="playlist",
        ),
        pytest.param(
            b"ffconcat version 1.0\nfile other.mkv\n", "files of its kind are not accepted", id="concat list"
        ),
        pytest.param(bytes(4096), "it has no index", id="zeros"),
        pytest.param(np.random.default_rng(1).bytes(4096), "it does not begin as a video does", id="noise"),
        pytest.param(b"RIFF\xff\0\0\0AVI LIST" + bytes(40), "it does not begin as a video does", id="header"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    """Lists would make the decoder open other files and addresses, so they are not even parsed.

    Nobody is told FFmpeg's own words, which name the file's path and numbers of errors.
    """
    write_video(tmp_path / "other.mkv", numbered(3))
    write_video(tmp_path / "other.ts", marching(60))
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoUnreadable) as refused:
        Video(path)
    assert refused.value.detail.startswith(reason)


def test_a_header_that_ffmpeg_does_not_permit_is_no_video(tmp_path: Path) -> None:
    """Where ASF breaks off in the right place its parser returns -1, which means "operation not permitted"."""
    path = write_video(tmp_path / "clip.wmv", numbered(3), codec="wmv2", container="asf")
    whole = path.read_bytes()
    for size in range(16, 400, 4):
        path.write_bytes(whole[:size])
        with pytest.raises(VideoUnreadable):
            Video(path)


def test_a_playlist_is_refused_for_being_one(tmp_path: Path) -> None:
    """Guards the guard: without the list of formats FFmpeg opens it."""
    write_video(tmp_path / "other.ts", marching(60))
    path = tmp_path / "list.m3u8"
    path.write_bytes(b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.ts\n#EXT-X-ENDLIST\n")
    with av.open(str(path)) as container:
        assert container.format.name == "hls"
    with pytest.raises(VideoUnreadable, match="files of its kind are not accepted"):
        Video(path)


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.touch()
    with pytest.raises(VideoEmpty):
        Video(path)


def test_sound_without_pictures_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with pytest.raises(VideoUnreadable, match="without a video stream"):
        Video(path)


def header_without_frames(path: Path) -> Path:
    """An mp4 whose index stands before its pictures, cut off at the pictures."""
    whole = write_video(path, numbered(10), movflags="+faststart").read_bytes()
    path.write_bytes(whole[: whole.index(b"mdat") + 4])
    return path


def test_a_header_without_frames_is_told_from_no_video(tmp_path: Path) -> None:
    with Video(header_without_frames(tmp_path / "clip.mp4")) as video:
        assert list(video.frames(EVERY)) == []
        with pytest.raises(VideoWithoutFrames):
            video.shape  # noqa: B018


def test_pictures_that_cannot_be_converted_are_refused(tmp_path: Path) -> None:
    """FFmpeg decodes four bits a pixel, and then knows no way to any other format."""
    with av.open(str(tmp_path / "clip.nut"), "w") as output:
        stream = output.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr4"
        output.mux(stream.encode(av.VideoFrame(64, 48, "bgr4")))
    with Video(tmp_path / "clip.nut") as video, pytest.raises(VideoUnreadable, match="its pictures are bgr4"):
        list(video.frames(EVERY))


def test_a_truncated_file_gives_what_is_there_and_says_so(tmp_path: Path) -> None:
    """Never a silent truncation."""
    path = write_video(tmp_path / "clip.mp4", numbered(100), movflags="+faststart", options={"g": "10"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - (len(whole) - whole.index(b"mdat")) // 3])
    frames, report = decode(path)
    assert 30 < len(frames) < 95
    assert report.declared_frames == 100
    assert "of 100 declared frames" in report.skipped[-1].reason
    assert report.skipped[-1].after_pts_us == frames[-1].pts_us == report.last_pts_us


def test_a_file_cut_off_before_its_index_cannot_be_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", numbered(30))
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(VideoUnreadable):
        Video(path)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), wounds=st.integers(1, 30))
def test_damage_never_crashes_and_never_lies_about_time(tmp_path: Path, seed: int, wounds: int) -> None:
    """Random bytes anywhere in the pictures: what comes out has a time the video has, and the same every time."""
    path = tmp_path / "clip.mp4"
    if not (tmp_path / "whole").exists():
        noise = np.random.default_rng(2)
        pictures: list[Picture] = [noise.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(40)]
        write_video(path, pictures, movflags="+faststart", options={"g": "8"}).rename(tmp_path / "whole")
    content = bytearray((tmp_path / "whole").read_bytes())
    random = np.random.default_rng(seed)
    for place in random.integers(content.index(b"mdat") + 4, len(content), wounds):
        content[place] = int(random.integers(0, 256))
    path.write_bytes(bytes(content))
    frames, report = decode(path)
    assert {frame.pts_us for frame in frames} <= {40_000 * number for number in range(40)}
    assert report.decoded_frames == len(frames)
    if len(frames) < 40:
        assert report.skipped
    assert not any("processing input" in place.reason for place in report.skipped)  # FFmpeg's words
    again, report_again = decode(path)
    assert report_again == report
    assert all((one.image == other.image).all() for one, other in zip(frames, again, strict=True))


class ShowsMoreStreams:
    """Stands before a container, and ends as PyAV may where a transport stream has shown more streams meanwhile.

    Whether it does so for a real one depends on what lies in memory behind a list of PyAV's.
    """

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._target.close()

    def demux(self, stream: Any) -> Iterator[Any]:
        yield from self._target.demux(stream)
        raise IndexError("list index out of range")


def test_streams_that_come_to_light_on_the_way_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "clip.ts", numbered(20), options={"bf": "2"})
    whole, report = decode(path)
    with Video(path) as video:
        exact = video.exact_frames(EVERY)
    for module in ("decoding", "frame_index"):
        monkeypatch.setattr(
            f"batch_job.{module}.open_container", lambda path, **_: ShowsMoreStreams(open_container(path))
        )
    frames, same = decode(path)
    assert [frame.pts_us for frame in frames] == [frame.pts_us for frame in whole]
    assert (len(frames), same) == (20, report)
    with Video(path) as video:
        assert video.exact_frames(EVERY) == exact == 20


# --- the machine's faults ---


class OutOfMemoryOnce:
    """Stands before a container or a packet, and fails in the named method as FFmpeg does without memory."""

    def __init__(self, target: object, method: str) -> None:
        self._target, self._method = target, method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            self._method = ""
            raise av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory")
        return getattr(self._target, name)


@pytest.mark.parametrize("method", ["demux", "seek"])
def test_a_container_without_memory_is_not_a_damaged_one(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken for damage, frames would be missing for good although the next attempt could read them."""
    opened = open_container
    monkeypatch.setattr(
        "batch_job.decoding.open_container", lambda path, **_: OutOfMemoryOnce(opened(path), method)
    )
    path = write_video(tmp_path / "clip.mp4", numbered(3))
    with Video(path) as video, pytest.raises(MemoryError):
        list(video.frames(EVERY) if method == "demux" else video.pictures_at([40_000]))


def test_a_decoder_without_memory_does_not_cost_the_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packets = Decoder._packets
    monkeypatch.setattr(
        Decoder, "_packets", lambda video: (OutOfMemoryOnce(packet, "decode") for packet in packets(video))
    )
    with Video(write_video(tmp_path / "clip.mp4", numbered(3))) as video, pytest.raises(MemoryError):
        list(video.frames(EVERY))


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        pytest.param(av.error.MemoryError(errno.ENOMEM, "Cannot allocate memory"), MemoryError, id="no memory"),
        pytest.param(av.error.PermissionError(errno.EACCES, "Permission denied"), PermissionError, id="no right"),
    ],
)
def test_a_machine_that_cannot_open_a_video_does_not_condemn_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, stays: type[Exception]
) -> None:
    """VideoUnreadable would tell the user to send another file."""

    def broken(*_: object, **__: object) -> None:
        raise error

    path = write_video(tmp_path / "clip.mp4", numbered(3))
    monkeypatch.setattr(av, "open", broken)
    with pytest.raises(stays):
        Video(path)


@pytest.mark.parametrize(
    "error",
    [
        # What FFmpeg gives without NVIDIA's libraries, and with them where the driver does not answer.
        pytest.param(av.error.PermissionError(errno.EPERM, "Operation not permitted"), id="no library"),
        pytest.param(av.error.ExternalError(0x54584542, "Generic error in an external library"), id="no driver"),
    ],
)
def test_a_gpu_that_is_not_there_does_not_condemn_the_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """And a file that is none is not called the machine's fault."""
    opened = av.open

    def without_gpu(file: str, *, hwaccel: Any, **options: Any) -> Any:
        if hwaccel is not None:
            raise error
        return opened(file, **options)

    path = write_video(tmp_path / "clip.mp4", numbered(3))
    (tmp_path / "text.mp4").write_text("not a video")
    monkeypatch.setattr(av, "open", without_gpu)
    with pytest.raises(RuntimeMismatch):
        Video(path, on_gpu=True)
    with pytest.raises(VideoUnreadable):
        Video(tmp_path / "text.mp4", on_gpu=True)
