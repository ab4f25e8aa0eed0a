"""Loops that outlive their dependencies: each step may fail, the loop goes on until it is told to stop."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from backend.gateways.errors import BatchUnavailable, QueueUnavailable, StorageUnavailable
from backend.videos.problems import DATABASE_AWAY

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
STOP_SECONDS = 1.5
WATCH_SECONDS = 1.0
# Longer than any step: S3 may put parts together for minutes (assembling.LEASE), all else has limits far below.
STALLED_AFTER_SECONDS = 900.0

Step = Callable[[], int]


@runtime_checkable
class Closing(Protocol):
    """A step that keeps something from turn to turn, and gives it up when its loop ends for good."""

    def close(self) -> None: ...


class Loop:
    """A step that is repeated in a thread of its own."""

    def __init__(self, name: str, step: Step, stop: threading.Event, *, idle_seconds: float) -> None:
        self.name = name
        self._step = step
        self._stop = stop
        self._idle_seconds = idle_seconds
        self._busy_since: float | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._busy_since = None
        self._thread = threading.Thread(target=self._repeat, name=self.name, daemon=True)
        self._thread.start()

    def ensure_alive(self) -> None:
        """Starts it again if something ended its thread that no step should raise."""
        if self._thread is not None and not self._thread.is_alive() and not self._stop.is_set():
            logger.error("%s died, is started again", self.name)
            self.start()

    def is_stalled(self) -> bool:
        since = self._busy_since
        return since is not None and time.monotonic() - since > STALLED_AFTER_SECONDS

    def join(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def _repeat(self) -> None:
        repeat(self.name, self._timed, self._stop, idle_seconds=self._idle_seconds)
        if isinstance(self._step, Closing):
            self._step.close()

    def _timed(self) -> int:
        self._busy_since = time.monotonic()
        try:
            return self._step()
        finally:
            self._busy_since = None


def repeat(name: str, step: Step, stop: threading.Event, *, idle_seconds: float) -> None:
    """Runs `step` until `stop` is set; it returns how much it did, and 0 means wait a little."""
    pause = FIRST_PAUSE_SECONDS
    while not stop.is_set():
        try:
            did = step()
        except (*DATABASE_AWAY, QueueUnavailable, BatchUnavailable, StorageUnavailable) as exc:
            logger.warning("%s waits for a service", name, extra={"cause": _cause(exc), "seconds": pause})
        except Exception:  # one strange row or message must not stop all others
            logger.exception("%s failed, goes on", name, extra={"seconds": pause})
        else:
            pause = FIRST_PAUSE_SECONDS
            if not did:
                stop.wait(idle_seconds)
            continue
        stop.wait(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


def run_until_told(steps: Mapping[str, tuple[Step, float]], *, heartbeat: Path | None = None) -> None:
    """Runs each named step in a thread of its own until SIGTERM or SIGINT; called in the main thread.

    A loop that dies is started again. `heartbeat` is touched every second as long as none of them is stalled: a
    health check looks at its age. A long poll that is still waiting when the end comes is abandoned: what it would
    have received comes again.
    """
    stop = threading.Event()

    def told(signum: int, frame: Any) -> None:
        stop.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    loops = [Loop(name, step, stop, idle_seconds=idle) for name, (step, idle) in steps.items()]
    logger.info("worker started", extra={"loops": ",".join(steps)})
    try:
        for loop in loops:
            loop.start()
        while not stop.wait(WATCH_SECONDS):
            _watch(loops, heartbeat)
        end = time.monotonic() + STOP_SECONDS
        for loop in loops:
            loop.join(max(0.0, end - time.monotonic()))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    logger.info("worker stopped")


def _watch(loops: list[Loop], heartbeat: Path | None) -> None:
    for loop in loops:
        loop.ensure_alive()
    if heartbeat is not None and not any(loop.is_stalled() for loop in loops):
        heartbeat.touch()


def _cause(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {(str(exc).splitlines() or [''])[0]}"
