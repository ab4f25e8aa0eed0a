"""Loops that outlive their dependencies: each step may fail, the loop goes on until it is told to stop."""

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from typing import Any

from backend.gateways.errors import BatchUnavailable, QueueUnavailable, StorageUnavailable
from backend.videos.problems import DATABASE_AWAY

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
STOP_SECONDS = 1.5

Step = Callable[[], int]


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


def run_until_told(steps: Mapping[str, tuple[Step, float]]) -> None:
    """Runs each named step in a thread of its own until SIGTERM or SIGINT; called in the main thread.

    A long poll that is still waiting is abandoned: what it would have received comes again.
    """
    stop = threading.Event()

    def told(signum: int, frame: Any) -> None:
        stop.set()

    before = {number: signal.signal(number, told) for number in (signal.SIGTERM, signal.SIGINT)}
    threads = [
        threading.Thread(target=repeat, args=(name, step, stop), kwargs={"idle_seconds": idle}, daemon=True)
        for name, (step, idle) in steps.items()
    ]
    logger.info("worker started", extra={"loops": ",".join(steps)})
    try:
        for thread in threads:
            thread.start()
        stop.wait()
        for thread in threads:
            thread.join(STOP_SECONDS / len(threads))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    logger.info("worker stopped")


def _cause(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {(str(exc).splitlines() or [''])[0]}"
