"""The probe says what a file is by its content, and whatever the file does to it, it ends and harms nothing."""

import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.probe import looking
from backend.probe.looking import BLOCKS_AT_MOST, ProbeFailed, Refusal, VideoFacts, look_at
from contract.errors import ErrorCode

ROOT = Path(__file__).resolve().parents[2]


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


def confined(code: str, *, before: str = "") -> subprocess.CompletedProcess[str]:
    """Runs the code in a process that has given up everything; what it needs is imported before."""
    script = (
        "import os, socket, sys, ctypes; sys.path.insert(0, sys.argv[1])\n"
        f"from backend.probe.confinement import confine\n{before}\n"
        "filtered = confine(cpu_seconds=1, memory_bytes=1 << 30)\n" + code
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", script, str(ROOT)], capture_output=True, text=True, timeout=90, check=False
    )


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param("open('/etc/hostname')", id="read a file"),
        pytest.param("os.open('/tmp/x', os.O_CREAT | os.O_WRONLY)", id="write a file"),
        pytest.param("os.listdir('/')", id="list a folder"),
        pytest.param("os.unlink('/tmp/nothing')", id="delete a file"),
        pytest.param("socket.socket()", id="open a connection"),
        pytest.param("os.fork()", id="start a process"),
        pytest.param("os.execv('/bin/true', ['true'])", id="become another program"),
        pytest.param("os.kill(os.getppid(), 0)", id="signal its parent"),
        pytest.param("os.setuid(0)", id="become somebody else"),
    ],
)
def test_confined_process_can_do_nothing_but_compute(attempt: str):
    """What a fault in a decoder gives an attacker is this process, and so nothing."""
    done = confined(
        f"try:\n    {attempt}\nexcept OSError as exc:\n    print(filtered, exc.errno)\nelse:\n    print('done')"
    )
    assert done.stdout in ("True 1\n", "True 24\n"), done  # EPERM, or EMFILE


def test_confined_process_has_so_much_memory_and_time():
    assert "MemoryError" in confined("bytearray(2 << 30)").stderr
    assert confined("while True: pass").returncode == -signal.SIGXCPU


def test_a_look_takes_no_more_memory_than_it_is_given(monkeypatch: pytest.MonkeyPatch):
    """A worker's size bounds it, so that a file cannot take the worker with it."""
    inside(
        monkeypatch,
        "sys.path[:0] = sys.argv[1].split(':')\nfrom backend.probe import inside\n"
        "inside.confine = lambda **limits: (inside.tell({'fault': limits}), sys.exit())\ninside.main()",
    )
    with pytest.raises(ProbeFailed, match=f"'memory_bytes': {600 * 1024**2}"):
        seen(b"x", memory_mib=600)


def test_least_memory_that_a_worker_may_give_suffices_for_large_pictures(tmp_path: Path):
    assert facts(clip(tmp_path / "a.mp4", frames=2, size=(7680, 4320)), memory_mib=512).width == 7680


def test_where_memory_runs_out_the_confined_process_goes_first():
    """And not the worker, which looks after everything else."""
    assert confined(
        "print(os.read(score, 9))", before="score = os.open('/proc/self/oom_score_adj', 0)"
    ).stdout == ("b'1000\\n'\n")


def inside(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Another program takes the probe's place, as if a decoder had been taken over."""
    monkeypatch.setattr(looking, "_CODE", "import os, sys, time, json\n" + code)


def test_probe_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch):
    inside(
        monkeypatch,
        "sys.path[:0] = sys.argv[1].split(':')\nfrom backend.probe.confinement import confine\n"
        "confine(cpu_seconds=1, memory_bytes=1 << 30)\nwhile True: pass",
    )
    assert refused(b"x") is ErrorCode.VIDEO_TOO_COMPLEX


def test_probe_that_falls_silent_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(looking, "SILENT_SECONDS", 0.5)
    inside(monkeypatch, "time.sleep(60)")
    assert refused(b"x") is ErrorCode.VIDEO_TOO_COMPLEX


def test_probe_that_crashes_refuses_the_file(monkeypatch: pytest.MonkeyPatch):
    inside(monkeypatch, "os.abort()")
    assert refused(b"x") is ErrorCode.VIDEO_UNREADABLE


@pytest.mark.parametrize(
    "told",
    [
        pytest.param("[]", id="no object"),
        pytest.param('{"facts": {}}', id="no facts"),
        pytest.param('{"facts": {"container": "mp4"}}', id="too few facts"),
        pytest.param('{"refused": "everything"}', id="unknown code"),
        pytest.param('{"read": ["a", -1]}', id="faulty read"),
        pytest.param("x" * 100_000, id="a long line"),
        pytest.param("<script>", id="no JSON"),
    ],
)
def test_nothing_that_a_taken_over_probe_says_is_believed(monkeypatch: pytest.MonkeyPatch, told: str):
    inside(monkeypatch, f"os.write(1, {told!r}.encode() + b'\\n')\ntime.sleep(0.2)")
    assert isinstance(seen(b"x"), Refusal)


def test_taken_over_probe_reads_no_more_than_the_object_and_not_all_of_it(monkeypatch: pytest.MonkeyPatch):
    blocks = BLOCKS_AT_MOST + 20
    asked: list[int] = []

    def read(offset: int, length: int) -> bytes:
        asked.append(offset)
        return bytes(length)

    monkeypatch.setattr(looking, "BLOCK_BYTES", 16)
    inside(
        monkeypatch,
        f"for offset in [-1, 10**9, *range(0, {blocks * 16}, 16)]:\n"
        "    os.write(1, json.dumps({'read': [offset, 16]}).encode() + b'\\n')\n"
        "    length = int.from_bytes(os.read(0, 8), 'big')\n"
        "    while length: length -= len(os.read(0, length))\n"
        'os.write(1, b\'{"refused": "video_unreadable"}\\n\')',
    )
    assert look_at(read, blocks * 16, memory_mib=MEMORY_MIB) is None
    assert len(asked) == 2 * BLOCKS_AT_MOST  # it is looked at twice
    assert max(asked) < blocks * 16


def test_fault_of_the_probe_itself_refuses_no_file(monkeypatch: pytest.MonkeyPatch):
    inside(monkeypatch, "sys.exit(3)")
    with pytest.raises(ProbeFailed):
        seen(b"x")


def test_probe_is_given_none_of_our_secrets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    inside(monkeypatch, "os.write(1, json.dumps({'fault': sorted(os.environ)}).encode() + b'\\n')")
    with pytest.raises(ProbeFailed) as told:
        seen(b"x")
    assert "SECRET" not in str(told.value)
    assert "DATABASE" not in str(told.value)


def test_probe_finds_packages_wherever_this_process_has_them(monkeypatch: pytest.MonkeyPatch):
    """Isolated, it reads no PYTHONPATH, by which an image tells where they are."""
    monkeypatch.syspath_prepend("/opt/dependencies")
    told = looking._CODE.replace("from backend.probe.inside import main; main()", "")
    inside(monkeypatch, f"{told}\nos.write(1, json.dumps({{'fault': sys.path}}).encode() + b'\\n')")
    with pytest.raises(ProbeFailed, match="/opt/dependencies"):
        seen(b"x")


def test_connection_that_breaks_while_it_reads_is_told_as_such():
    """Storage that is away says nothing of the file."""

    def read(offset: int, length: int) -> bytes:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        look_at(read, 1000, memory_mib=MEMORY_MIB)
