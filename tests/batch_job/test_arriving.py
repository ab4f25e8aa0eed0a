"""A video is analysed while it is still on its way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batch_job.arriving import Abandoned, ArrivingFile
from batch_job.errors import Interrupted, StorageUnavailable, VideoEmpty
from batch_job.video import Video
from contract.options import AnalysisOptions
from tests.batch_job.media import marching, write_video


@contextmanager
def arriving(path: Path, content: bytes, *, pieces: int, gate: threading.Semaphore) -> Iterator[ArrivingFile]:
    """A piece comes whenever the gate lets one through."""
    with ArrivingFile(path, size=len(content)) as file:

        def bring() -> None:
            step = -(-len(content) // pieces)
            for start in range(0, len(content), step):
                gate.acquire()
                file.add(content[start : start + step])

        thread = threading.Thread(target=bring)
        thread.start()
        try:
            yield file
        finally:
            gate.release(pieces)
            thread.join()


@pytest.mark.parametrize("name", ["fast.mp4", "slow.mp4", "clip.mkv", "clip.ts"])
def test_the_frames_are_those_of_the_whole_file(tmp_path: Path, name: str) -> None:
    """Also where the index stands at the end, so that all of it must come first."""
    movflags = "+faststart" if name.startswith("fast") else ""
    whole = write_video(tmp_path / name, marching(40), options={"g": "10"}, movflags=movflags)
    with Video(whole) as video:
        wanted = [(frame.index, frame.pts_us, frame.image.tobytes()) for frame in video.frames(AnalysisOptions())]
        report = video.report()
    gate = threading.Semaphore(50)
    with arriving(tmp_path / "video", whole.read_bytes(), pieces=50, gate=gate) as file, Video(file) as video:
        assert [
            (frame.index, frame.pts_us, frame.image.tobytes()) for frame in video.frames(AnalysisOptions())
        ] == wanted
        assert video.report() == report
        assert [time for time, _ in video.pictures_at([wanted[7][1]])] == [wanted[7][1]]


def test_the_first_frames_do_not_wait_for_the_last(tmp_path: Path) -> None:
    whole = write_video(
        tmp_path / "clip.mkv", marching(300), options={"g": "10", "crf": "1"}
    )  # longer than FFmpeg reads ahead
    gate = threading.Semaphore(70)
    with arriving(tmp_path / "video", whole.read_bytes(), pieces=100, gate=gate) as file, Video(file) as video:
        frames = video.frames(AnalysisOptions())
        assert [next(frames).index for _ in range(30)] == list(range(30))
        assert file.there < file.size
        gate.release(30)
        assert len(list(frames)) == 270


def test_a_file_whose_last_bytes_come_late_is_not_called_torn(tmp_path: Path) -> None:
    """What follows the last picture of a WMV, its index, is read by nobody: it comes when it comes."""
    whole = write_video(tmp_path / "clip.wmv", marching(40), codec="wmv2", options={"g": "10"})
    content = bytearray(whole.read_bytes() + bytes(1 << 20))
    size_at = content.index(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")) + 40
    content[size_at : size_at + 8] = len(content).to_bytes(8, "little")
    gate = threading.Semaphore(99)
    with arriving(tmp_path / "video", bytes(content), pieces=100, gate=gate) as file, Video(file) as video:
        assert len(list(video.frames(AnalysisOptions()))) == 40
        assert file.there < file.size
        threading.Timer(0.2, gate.release).start()
        assert video.report().skipped == ()


@pytest.mark.parametrize("error", [StorageUnavailable("gone"), Interrupted()])
def test_what_went_wrong_on_the_way_is_what_the_reader_hears(tmp_path: Path, error: Exception) -> None:
    """Not that the video is damaged: that would be for good."""
    content = write_video(tmp_path / "clip.mkv", marching(200), options={"crf": "1"}).read_bytes()
    with ArrivingFile(tmp_path / "video", size=len(content)) as file:
        file.add(content[: len(content) // 2])
        file.fail(error)
        with pytest.raises(type(error)), Video(file) as video:
            list(video.frames(AnalysisOptions()))


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    with ArrivingFile(tmp_path / "video", size=0) as file, pytest.raises(VideoEmpty):
        Video(file)


def test_what_nobody_wants_any_more_does_not_come(tmp_path: Path) -> None:
    with ArrivingFile(tmp_path / "video", size=10) as file:
        file.add(b"12345")
        file.abandon()
        with pytest.raises(Abandoned):
            file.add(b"67890")
