"""Stopping when asked to."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from batch_job.errors import Interrupted

_STOP_WITHIN_SECONDS = 15.0  # 20 are promised; Spot gives 120, and Batch 30 when it ends a job


class StopSignal:
    """SIGTERM and SIGINT ask the process to stop; it does so at the next check, at the latest after 15 seconds.

    Leaving without a farewell is safe: what is not committed is done again by the next attempt.
    """

    def __init__(self, *, exit_code: int) -> None:
        """`exit_code` is what a process ends with that does not come to its next check."""
        self._asked = threading.Event()
        self._exit_code = exit_code

    @contextmanager
    def listening(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raises Interrupted once the process shall stop."""
        if self._asked.is_set():
            raise Interrupted

    def pause(self, seconds: float) -> None:
        """Waits, unless the process shall stop. Raises Interrupted."""
        self._asked.wait(seconds)
        self.check()

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        if not self._asked.is_set():
            # First: to set an Event whose lock this very thread holds, inside its `wait`, takes for ever.
            last_word = threading.Timer(_STOP_WITHIN_SECONDS, os._exit, (self._exit_code,))
            last_word.daemon = True
            last_word.start()
            self._asked.set()
