"""The probe says what a file is by its content."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.probe import looking
from backend.probe.looking import Refusal, VideoFacts, look_at
from contract.errors import ErrorCode


def clip(
    path: Path,
    *,
    frames: int = 10,
    rate: int = 10,
    codec: str = "libx264",
    container: str | None = None,
    rotation: int = 0,
    mirrored: bool = False,
    size: tuple[int, int] = (64, 48),
    movflags: str = "",
    noise: bool = False,
    options: dict[str, str] | None = None,
) -> bytes:
    """`rotation` is counter-clockwise, as a camera writes it."""
    width, height = size
    with av.open(str(path), "w", format=container, options={"movflags": movflags} if movflags else {}) as output:
        stream = output.add_stream(codec, rate=rate, options={"threads": "1"} | (options or {}))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if rotation or mirrored:
            stream.set_display_rotation(rotation, hflip=mirrored)
        pictures = np.random.default_rng(7)
        for number in range(frames):
            picture = np.full((height, width, 3), 9 * number % 250, np.uint8)
            if noise:
                picture = pictures.integers(0, 255, picture.shape, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path.read_bytes()


MEMORY_MIB = 2048


def seen(content: bytes, *, memory_mib: int = MEMORY_MIB) -> VideoFacts | Refusal | None:
    return look_at(lambda offset, length: content[offset : offset + length], len(content), memory_mib=memory_mib)


def facts(content: bytes, *, memory_mib: int = MEMORY_MIB) -> VideoFacts:
    found = seen(content, memory_mib=memory_mib)
    assert isinstance(found, VideoFacts), found
    return found


def refused(content: bytes) -> ErrorCode:
    found = seen(content)
    assert isinstance(found, Refusal), found
    return found.code


@pytest.mark.parametrize(
    ("name", "codec", "canonical"),
    [
        ("a.mp4", "libx264", "h264"),
        ("a.mov", "libx265", "hevc"),
        ("a.mkv", "libsvtav1", "av1"),
        ("a.webm", "libvpx-vp9", "vp9"),
        ("a.ts", "libx264", "h264"),
        ("a.avi", "mpeg4", "mpeg4"),
    ],
)
def test_length_size_and_codec_are_told_of_every_usual_kind(tmp_path: Path, name: str, codec: str, canonical: str):
    found = facts(clip(tmp_path / name, codec=codec))
    assert (found.codec, found.width, found.height, found.rotation_degrees) == (canonical, 64, 48, 0)
    assert (found.frames, found.duration_us, found.estimated) == (10, 1_000_000, False)


@pytest.mark.parametrize("rotation", [90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_size_is_that_of_the_upright_picture(tmp_path: Path, rotation: int, mirrored: bool):
    found = facts(clip(tmp_path / "a.mp4", rotation=rotation, mirrored=mirrored))
    assert (found.width, found.height) == ((64, 48) if rotation == 180 else (48, 64))
    if not mirrored:
        assert found.rotation_degrees == (360 - rotation) % 360


def test_file_that_tells_no_length_is_estimated_by_its_size(tmp_path: Path):
    """A raw stream has neither header nor index."""
    found = facts(clip(tmp_path / "a.h264", frames=200, noise=True))
    assert found.estimated
    assert found.frames == pytest.approx(200, rel=0.2)


def test_only_the_ends_of_a_large_file_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its index stands at the end; what lies between is never fetched."""
    monkeypatch.setattr(looking, "BLOCK_BYTES", 32 * 1024)
    content = clip(tmp_path / "a.mp4", frames=60, size=(320, 240), noise=True)
    read: set[int] = set()

    def reads(offset: int, length: int) -> bytes:
        read.add(offset)
        return content[offset : offset + length]

    assert isinstance(look_at(reads, len(content), memory_mib=MEMORY_MIB), VideoFacts)
    assert {0, len(content) // 32768 * 32768} <= read
    assert len(read) * 32768 < len(content) / 4


def test_length_of_fragments_is_estimated_where_there_are_too_many_to_visit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Recorders write MP4 so, for it to survive a crash; it has no index that tells the whole."""
    content = clip(
        tmp_path / "a.mp4", frames=300, noise=True, movflags="frag_keyframe+empty_moov", options={"g": "5"}
    )
    visited = facts(content)
    assert (visited.frames, visited.estimated) == (300, False)
    monkeypatch.setattr(looking, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(looking, "BLOCKS_AT_MOST", 60)
    guessed = facts(content)
    assert guessed.estimated
    assert guessed.frames == pytest.approx(300, rel=0.2)
    assert guessed.duration_us == pytest.approx(30_000_000, rel=0.2)


def test_what_takes_more_than_a_look_is_left_to_the_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(looking, "BLOCK_BYTES", 256)
    monkeypatch.setattr(looking, "BLOCKS_AT_MOST", 2)
    assert seen(clip(tmp_path / "a.mp4")) is None


def header_only(path: Path) -> bytes:
    """The table of samples stands, but the samples are all zeros."""
    content = bytearray(clip(path))
    start = content.index(b"mdat") + 4
    content[start : start + int.from_bytes(content[start - 8 : start - 4], "big") - 8] = bytes(
        int.from_bytes(content[start - 8 : start - 4], "big") - 8
    )
    return bytes(content)


def huge(path: Path) -> bytes:
    """A header that claims pictures of 192 megapixels."""
    content = bytearray(clip(path, codec="rawvideo", container="matroska", frames=2, size=(500, 300)))
    for element, value, claimed in ((b"\xb0\x82", 500, 16000), (b"\xba\x82", 300, 12000)):
        place = content.index(element + value.to_bytes(2, "big")) + 2  # PixelWidth, PixelHeight
        content[place : place + 2] = claimed.to_bytes(2, "big")
    return bytes(content)


def song(path: Path) -> bytes:
    with av.open(str(path), "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8192), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        output.mux(stream.encode(silence))
        output.mux(stream.encode(None))
    return path.read_bytes()


def cut_off(path: Path) -> bytes:
    content = clip(path)
    return content[: len(content) // 2]  # without the index, which stands at the end


@pytest.mark.parametrize(
    ("make", "code"),
    [
        pytest.param(lambda path: b"", ErrorCode.VIDEO_EMPTY, id="empty"),
        pytest.param(lambda path: b"Dear diary, " * 500, ErrorCode.VIDEO_UNREADABLE, id="text"),
        pytest.param(lambda path: bytes(100_000), ErrorCode.VIDEO_UNREADABLE, id="zeros"),
        pytest.param(lambda path: clip(path)[:32], ErrorCode.VIDEO_UNREADABLE, id="first bytes of a video"),
        pytest.param(cut_off, ErrorCode.VIDEO_UNREADABLE, id="cut off before its index"),
        pytest.param(song, ErrorCode.VIDEO_UNREADABLE, id="sound alone"),
        pytest.param(header_only, ErrorCode.VIDEO_WITHOUT_FRAMES, id="header without frames"),
        pytest.param(huge, ErrorCode.VIDEO_TOO_LARGE, id="pictures larger than any"),
    ],
)
def test_what_is_no_video_is_refused_by_its_content(
    tmp_path: Path, make: Callable[[Path], bytes], code: ErrorCode
):
    assert refused(make(tmp_path / "holiday.mp4")) is code


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{}\n#EXT-X-ENDLIST\n", id="HLS"),
        pytest.param("ffconcat version 1.0\nfile '{}'\n", id="concat"),
        pytest.param(
            '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation id="1">'
            "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>",
            id="DASH",
        ),
    ],
)
def test_playlist_opens_nothing_it_names(tmp_path: Path, text: str):
    """A playlist makes a player open files and addresses; of ours it would read whatever it likes."""
    clip(tmp_path / "ours.mp4")
    assert refused(text.format(tmp_path / "ours.mp4").encode()) is ErrorCode.VIDEO_UNREADABLE


def test_video_cut_off_behind_its_index_is_left_to_the_job(tmp_path: Path):
    """Half of it can be analysed, and the decode report will say how far it goes."""
    content = clip(tmp_path / "a.mp4", frames=50, noise=True, movflags="faststart")
    assert facts(content[: len(content) // 2]).frames == 50


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clip(tmp_path_factory.mktemp("small") / "a.mp4")


@settings(max_examples=10)
@given(place=st.integers(0, 2000), rubbish=st.binary(min_size=1, max_size=60))
def test_damage_anywhere_is_answered_one_way_or_the_other(small: bytes, place: int, rubbish: bytes):
    """Never by an exception: nobody would look at the file again."""
    content = bytearray(small)
    content[place : place + len(rubbish)] = rubbish
    assert isinstance(seen(bytes(content)), VideoFacts | Refusal)
