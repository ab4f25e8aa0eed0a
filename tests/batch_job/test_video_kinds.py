"""Decoding: kinds of files that fuzzing or users have brought, each told as it is."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from batch_job.errors import VideoWithoutFrames
from batch_job.timeline import OUT_OF_ORDER
from batch_job.values import Frame
from batch_job.video import Video
from contract.options import AnalysisOptions
from tests.batch_job.media import RED, bar_coded, decode, is_picture, squares, write_video

STEP = Fraction(1, 25)
QUIET = {"libx265": {"x265-params": "log-level=none"}}


def coded(path: Path, frames: int = 24, *, codec: str = "libx264", **options: str) -> Path:
    """25 frames per second, bar codes from 0 on."""
    pictures = [bar_coded(number, height=64) for number in range(frames)]
    movflags = options.pop("movflags", "")
    return write_video(
        path, pictures, pts=lambda number: number, time_base=STEP, codec=codec, options=options, movflags=movflags
    )


def assert_all_there(frames: list[Frame], count: int = 24) -> None:
    assert len(frames) == count
    assert all(is_picture(frame.image, bar_coded(frame.index, height=64)) for frame in frames)
    assert [later.pts_us - frame.pts_us for frame, later in pairwise(frames)] == [40_000] * (count - 1)


@pytest.mark.parametrize("default", [0, 1])
def test_of_several_streams_the_default_one_is_read(tmp_path: Path, default: int) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as output:
        streams = [output.add_stream("mpeg4", rate=25, options={"b": "4000000"}) for _ in range(2)]
        for number, stream in enumerate(streams):
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            stream.disposition = av.stream.Disposition.default if number == default else 0
        for time in range(5):
            for number, stream in enumerate(streams):
                frame = av.VideoFrame.from_ndarray(bar_coded(10 * number + time, height=64), format="bgr24")
                frame.pts, frame.time_base = time, STEP
                output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode(None))
    frames, _ = decode(path)
    assert len(frames) == 5
    assert all(is_picture(f.image, bar_coded(10 * default + f.index, height=64)) for f in frames)


@pytest.mark.parametrize(
    ("name", "movflags"),
    [
        pytest.param("clip.mp4", "frag_keyframe+empty_moov", id="fragmented mp4"),
        pytest.param("clip.mkv", "", id="Matroska"),
        pytest.param("clip.ts", "", id="transport stream"),
        pytest.param("clip.flv", "", id="Flash"),
    ],
)
def test_a_file_that_does_not_count_its_frames_is_read_whole(tmp_path: Path, name: str, movflags: str) -> None:
    path = coded(tmp_path / name, g="5", bf="2", movflags=movflags)
    frames, report = decode(path)
    assert_all_there(frames)
    assert (report.declared_frames, report.decoded_frames, report.skipped) == (None, 24, ())


@pytest.mark.parametrize("bf", ["0", "1", "2", "3"])
def test_h264_in_avi_is_told_in_the_order_in_which_it_is_shown(tmp_path: Path, bf: str) -> None:
    """AVI stores it in the order of decoding, and FFmpeg takes that for the time."""
    frames, report = decode(coded(tmp_path / "clip.avi", bf=bf, g="8"))
    assert_all_there(frames)
    assert report.skipped == ()


def test_high_dynamic_range_gives_pictures_of_eight_bits(tmp_path: Path) -> None:
    """Ten bits, BT.2020 and PQ, as telephones record; nothing maps its tones, and a colour stays that colour."""
    path = tmp_path / "clip.mp4"
    params = "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:hdr10=1"
    write_video(
        path,
        [squares((1, 1, RED))] * 3,
        codec="libx265",
        pix_fmt="yuv420p10le",
        options={"x265-params": params},
    )
    frames, report = decode(path)
    assert [(frame.image.shape, frame.image.dtype) for frame in frames] == [((96, 160, 3), np.uint8)] * 3
    blue, green, red = frames[0].image[36:60, 36:60].mean(axis=(0, 1))
    assert red > 150 > 80 > max(blue, green)
    assert (report.codec, report.skipped) == ("hevc", ())


# --- what is missing, and what only seems so ---


def test_a_cut_off_file_without_a_count_tells_seconds(tmp_path: Path) -> None:
    path = coded(tmp_path / "clip.mkv", g="5")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    frames, report = decode(path)
    assert 1 < len(frames) < 24
    assert "of 0.96 declared seconds" in report.skipped[-1].reason
    assert report.skipped[-1].after_pts_us == frames[-1].pts_us


def hide_start(content: bytearray) -> None:
    """Changes the edit list of a track of 24 frames, 25 per second: the last 19 are shown."""
    at = content.index(b"elst")
    scale = int.from_bytes(content[content.index(b"mdhd") + 16 :][:4], "big")
    start = int.from_bytes(content[at + 16 : at + 20], "big")
    content[at + 12 : at + 16] = (19 * 40).to_bytes(4, "big")  # milliseconds
    content[at + 16 : at + 20] = (start + 5 * scale // 25).to_bytes(4, "big")


@pytest.mark.parametrize("g", ["1", "24"])
def test_a_trimmed_file_is_not_called_cut_off(tmp_path: Path, g: str) -> None:
    """Telephones trim by an edit list: pictures lie in the file, are counted, and are not to be shown."""
    path = coded(tmp_path / "clip.mp4", g=g, bf="0")
    content = bytearray(path.read_bytes())
    hide_start(content)
    path.write_bytes(bytes(content))
    frames, report = decode(path)
    assert [is_picture(f.image, bar_coded(f.index + 5, height=64)) for f in frames] == [True] * 19
    assert (report.declared_frames, report.decoded_frames, report.skipped) == (24, 19, ())


def test_empty_slots_are_not_called_cut_off(tmp_path: Path) -> None:
    """A camera that drops pictures leaves their slots in an AVI empty."""
    pictures = [bar_coded(number) for number in range(10)]
    path = write_video(
        tmp_path / "clip.avi",
        pictures,
        pts=lambda number: 3 * number,
        time_base=STEP,
        codec="mpeg4",
        options={"b": "4000000"},
    )
    frames, report = decode(path)
    assert [frame.pts_us for frame in frames] == [120_000 * number for number in range(10)]
    assert report.declared_frames == 28
    assert report.skipped == ()


def test_pictures_that_a_decoder_swallows_are_told(tmp_path: Path) -> None:
    """H.265 pictures without what they refer to come out as nothing, and without an error."""
    options = {"x265-params": "log-level=none:keyint=24:bframes=0:scenecut=0"}
    path = coded(tmp_path / "clip.ts", codec="libx265", **options)
    whole, _ = decode(path)
    content = path.read_bytes()
    packets = [content[at : at + 188] for at in range(0, len(content), 188)]
    with av.open(str(path)) as container:
        first, second, *_ = (packet.pos for packet in container.demux(video=0) if packet.size)
    path.write_bytes(b"".join(packets[: first // 188] + packets[second // 188 :]))  # without the key frame
    frames, report = decode(path)
    assert len(frames) < len(whole)
    assert [place.reason for place in report.skipped] == ["23 pictures did not come out of the decoder"]


def test_times_that_go_back_are_left_out_and_told(tmp_path: Path) -> None:
    """Two transport streams in one file; sampling by time would else drop the second without a word."""
    one, other = coded(tmp_path / "a.ts", 20), coded(tmp_path / "b.ts", 24)
    path = tmp_path / "clip.ts"
    path.write_bytes(one.read_bytes() + other.read_bytes())
    frames, report = decode(path)
    assert all(earlier.pts_us < later.pts_us for earlier, later in pairwise(frames))
    assert len(frames) == report.decoded_frames == 24
    assert [place.reason for place in report.skipped].count(OUT_OF_ORDER) == 20


@pytest.mark.parametrize(
    ("codec", "name"),
    [("libx264", "clip.mp4"), ("libx265", "clip.mp4"), ("mpeg4", "clip.avi"), ("libvpx-vp9", "clip.webm")],
)
def test_a_file_of_which_nothing_can_be_decoded_has_no_frames(tmp_path: Path, codec: str, name: str) -> None:
    """The index is whole, the pictures are zeros."""
    path = coded(tmp_path / name, codec=codec, **QUIET.get(codec, {}))
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for at, size in places:
        start = at if name.endswith("mp4") else at + 8  # past the head of a chunk or a block
        content[start : at + size] = bytes(at + size - start)
    path.write_bytes(bytes(content))
    with Video(path) as video:
        assert list(video.frames(AnalysisOptions())) == []
        assert video.report().skipped
        with pytest.raises(VideoWithoutFrames):
            video.shape  # noqa: B018


def changing(path: Path) -> Path:
    """Twelve frames of 160x96, twelve twice as large, and twelve upright ones; H.264 has no mark between them."""
    content = b""
    for number, (width, height) in enumerate(((160, 96), (320, 192), (96, 160))):
        pictures = [
            cv2.resize(squares((at % 5, at % 3, RED)), (width, height), interpolation=cv2.INTER_NEAREST)
            for at in range(12 * number, 12 * (number + 1))
        ]
        part = path.with_suffix(f".{number}.h264")
        content += write_video(part, pictures, container="h264", options={"bf": "0"}).read_bytes()
    path.with_suffix(".h264").write_bytes(content)
    with av.open(str(path.with_suffix(".h264"))) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = STEP, stream
            output.mux(packet)
    return path


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_stream_that_changes_its_size_goes_on_in_the_first(tmp_path: Path, suffix: str) -> None:
    """Boxes are pixels of one frame, whose size the report tells: others would lie beside what they are around."""
    path = changing(tmp_path / f"clip.{suffix}")
    frames, report = decode(path)
    assert (report.width, report.height, report.skipped) == (160, 96, ())
    assert [frame.pts_us for frame in frames] == [40_000 * number for number in range(36)]
    assert all(is_picture(frame.image, squares((at % 5, at % 3, RED))) for at, frame in enumerate(frames))
    resumed, _ = decode(path, start=30)
    with Video(path) as video:
        sought = dict(video.pictures_at([frame.pts_us for frame in frames]))
        everything = [frame.image for frame in video.all_frames()]
    for others in ([sought[frame.pts_us] for frame in frames], everything):
        assert all((frame.image == other).all() for frame, other in zip(frames, others, strict=True))
    assert all((one.image == other.image).all() for one, other in zip(frames[30:], resumed, strict=True))
