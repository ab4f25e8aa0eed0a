"""Child processes of the stack: started in their own session, logged to a file, ended with their whole group."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.errors import ServiceFailed

_PR_SET_PDEATHSIG = 1
_STOP_GRACE_SECONDS = 15.0
_RESTARTS_ALLOWED = 5


@dataclass(kw_only=True, slots=True)
class Service:
    """One process. `restart` says that it may be started again when it ends, since it keeps nothing in memory."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    log_folder: Path
    restart: bool = True
    sockets: Sequence[socket.socket] = ()  # that it inherits under the same numbers
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    restarts: int = field(default=0, init=False)

    @property
    def log_path(self) -> Path:
        return self.log_folder / f"{self.name}.log"

    def start(self) -> None:
        self.log_folder.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log, _undisturbed():
            self.process = subprocess.Popen(
                self.argv,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal must reach the supervisor alone, which stops the services in order.
                start_new_session=True,
                pass_fds=[inherited.fileno() for inherited in self.sockets],
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )

    def keep_alive(self) -> None:
        """Starts an ended service again. Raises ServiceFailed where that is not possible."""
        code = self._exit_code()
        if self.process is None or code is None:
            return
        if not self.restart or self.restarts >= _RESTARTS_ALLOWED:
            raise ServiceFailed(f"{self.name} ended with code {code}:\n{self.log_tail()}")
        self.restarts += 1
        self.start()

    def wait_until(self, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Raises ServiceFailed when the process ends first or the time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.process is None or self._exit_code() is not None:
                raise ServiceFailed(f"{self.name} ended while it started:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServiceFailed(f"{self.name} was not ready after {seconds:.0f} s:\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_STOP_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def _exit_code(self) -> int | None:
        """None while it runs, and before it was started."""
        with _undisturbed():
            return self.process and self.process.poll()

    def log_tail(self, lines: int = 15) -> str:
        if not self.log_path.exists():
            return "(nothing logged)"
        text = self.log_path.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])


def stop_on_signals() -> None:
    """The first Ctrl-C or SIGTERM raises KeyboardInterrupt; later ones do not disturb the clean-up it started."""

    def stop(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        _interruption.came = True
        if not _interruption.waits:
            raise KeyboardInterrupt

    _interruption.came = False
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


@dataclass(slots=True)
class _Interruption:
    waits: bool = False  # for the end of a block that it must not disturb
    came: bool = False


_interruption = _Interruption()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Puts KeyboardInterrupt off to the end of the block.

    A `Popen` that is left between taking its lock and giving it back keeps it, and its `wait` never ends; one that
    is left before it is stored is a process that nobody stops.
    """
    before = _interruption.came
    _interruption.waits = True
    try:
        yield
    finally:
        _interruption.waits = False
        if _interruption.came and not before:
            raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Runs in the child before exec: a killed supervisor must not leave servers behind."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
