"""Whatever a file does to the probe, it ends and harms nothing."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend.probe import looking
from backend.probe.looking import BLOCKS_AT_MOST, ProbeFailed, Refusal, look_at
from contract.errors import ErrorCode
from tests.backend.test_probe import MEMORY_MIB, clip, facts, refused, seen

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("sys.stdin.buffer.read(9)\n    time.sleep(0.1)", id="asks for ever"),
        pytest.param("time.sleep(0.1)", id="takes nothing of what it asked for"),
    ],
)
def test_taken_over_probe_holds_up_the_worker_for_no_longer_than_a_look(
    monkeypatch: pytest.MonkeyPatch, code: str
):
    monkeypatch.setattr(looking, "LONGEST_SECONDS", 1.0)
    count = 1 if "stdin" in code else looking.BLOCK_BYTES
    inside(monkeypatch, f"for _ in range(300):\n    os.write(1, b'{{\"read\": [0, {count}]}}\\n')\n    {code}")
    with pytest.raises(ProbeFailed, match="not over"):
        seen(bytes(looking.BLOCK_BYTES))


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
