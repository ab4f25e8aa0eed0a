"""A loop goes on whatever its step meets."""

import threading
import time
from pathlib import Path

import pytest
from django.db import OperationalError

from backend.gateways.errors import QueueUnavailable
from backend.videos import assembling, loops
from tests.backend.serving import wait_until


def test_loop_goes_on_after_every_kind_of_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loops, "FIRST_PAUSE_SECONDS", 0.001)
    stop = threading.Event()
    met: list[str] = []
    failures = [OperationalError("database"), QueueUnavailable("queue"), RuntimeError("a strange row")]

    def step() -> int:
        if failures:
            failure = failures.pop(0)
            met.append(type(failure).__name__)
            raise failure
        stop.set()
        return 1

    loops.repeat("test", step, stop, idle_seconds=0)
    assert met == ["OperationalError", "QueueUnavailable", "RuntimeError"]


def test_pause_grows_and_is_bounded(monkeypatch: pytest.MonkeyPatch):
    """A service that comes back must not wait minutes for us."""
    stop = threading.Event()
    pauses: list[float] = []

    class Waiting:
        def is_set(self) -> bool:
            return stop.is_set()

        def wait(self, seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 8:
                stop.set()

    def step() -> int:
        raise OperationalError("away")

    loops.repeat("test", step, Waiting(), idle_seconds=0)  # type: ignore[arg-type]
    assert pauses == [0.25, 0.5, 1, 2, 4, 5, 5, 5]


def test_idle_loop_stops_at_once():
    stop = threading.Event()
    thread = threading.Thread(target=loops.repeat, args=("test", lambda: 0, stop), kwargs={"idle_seconds": 600})
    thread.start()
    time.sleep(0.05)
    stop.set()
    thread.join(timeout=60)
    assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_dies_is_started_again():
    """No step should raise what ends a thread, and if one does the worker must not go on without it."""
    stop = threading.Event()
    turns: list[int] = []

    def step() -> int:
        turns.append(1)
        if len(turns) == 1:
            raise SystemExit
        stop.set()
        return 1

    loop = loops.Loop("test", step, stop, idle_seconds=0)
    loop.start()
    loop.join(60)
    loop.ensure_alive()
    loop.join(60)
    assert len(turns) == 2
    loop.ensure_alive()
    assert len(turns) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_step_is_closed_when_its_loop_ends_and_not_when_it_dies():
    """One that died is started again with the same step."""
    stop = threading.Event()
    happened: list[str] = []

    class Keeping:
        def __call__(self) -> int:
            happened.append("turn")
            if len(happened) == 1:
                raise SystemExit
            stop.set()
            return 1

        def close(self) -> None:
            happened.append("closed")

    loop = loops.Loop("test", Keeping(), stop, idle_seconds=0)
    loop.start()
    loop.join(60)
    loop.ensure_alive()
    loop.join(60)
    assert happened == ["turn", "turn", "closed"]


def test_no_step_that_is_allowed_to_take_long_counts_as_hanging():
    """S3 puts the parts of a large file together for minutes."""
    assert assembling.LEASE.total_seconds() < loops.STALLED_AFTER_SECONDS


def test_heartbeat_stops_when_a_step_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A health check that looks at the file's age has the worker replaced."""
    monkeypatch.setattr(loops, "STALLED_AFTER_SECONDS", 0.05)
    stop, hangs, heartbeat = threading.Event(), threading.Event(), tmp_path / "heartbeat"
    idle = loops.Loop("idle", lambda: 0, stop, idle_seconds=600)
    hung = loops.Loop("hung", lambda: hangs.wait(600), stop, idle_seconds=0)

    def beats(*watched: loops.Loop) -> bool:
        heartbeat.unlink(missing_ok=True)
        loops._watch(list(watched), heartbeat)
        return heartbeat.exists()

    idle.start()
    time.sleep(0.1)
    wait_until(lambda: beats(idle))  # a busy machine may not have let it begin
    hung.start()
    wait_until(lambda: not beats(idle, hung))
    stop.set()
    hangs.set()
    hung.join(60)
