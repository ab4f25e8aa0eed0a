"""`python -m tests.flow.dying IMPORTS...`: runs modules of the product as processes that kill themselves.

SIGKILL comes right after the step number DIES_AFTER: a statement or commit on PostgreSQL, or a call to AWS,
counted from the start or, with DIES_ON_SIGNAL, from SIGUSR1. So every point between two steps can be reached, and
the product needs no branch for it.

There are dozens of them, and most of what each does is to import. So this process imports what they take, and is
forked for each; nothing is counted before, as no import makes a step. `Lives` speaks with it.
"""

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import botocore.client
import psycopg


class Countdown:
    def __init__(self, steps: int, *, counting: bool) -> None:
        self.left, self.counting = steps, counting

    def watch(self, owner: type, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            self.left -= self.counting
            if self.counting and not self.left:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(owner, name, counted)


class Lives:
    """The lives of processes, one at a time. Each writes to `log`."""

    def __init__(self, parent: "subprocess.Popen[str]", log: Path) -> None:
        self._parent, self.log = parent, log
        self._running: int | None = None

    def begin(self, *arguments: str, after: int, **variables: str) -> int:
        """Runs a module with its arguments until step `after` is done. The number of the process."""
        life = {"arguments": arguments, "variables": {"DIES_AFTER": str(after), **variables}, "log": str(self.log)}
        self.log.write_bytes(b"")
        assert self._parent.stdin is not None
        print(json.dumps(life), file=self._parent.stdin, flush=True)
        self._running = self._told()
        return self._running

    def end(self) -> int:
        """The exit code of the one that runs, when it has ended."""
        code = self._told()
        self._running = None
        return code

    def die(self, *arguments: str, after: int, **variables: str) -> int:
        self.begin(*arguments, after=after, **variables)
        return self.end()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends the one that runs, where one does."""
        if self._running is not None:
            with suppress(ProcessLookupError):  # it has died already
                os.kill(self._running, number)
            self.end()

    def _told(self) -> int:
        assert self._parent.stdout is not None
        return int(self._parent.stdout.readline())


@contextmanager
def lives(folder: Path, *imports: str, environment: Mapping[str, str]) -> Iterator[Lives]:
    """Of processes that would import those modules, in that environment."""
    command = [sys.executable, "-m", "tests.flow.dying", *imports]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[2],
        env=dict(environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        begun = Lives(parent, folder / "life.log")
        try:
            yield begun
        finally:
            begun.stop(signal.SIGKILL)  # what a test that failed has left


def main(imports: Sequence[str]) -> None:
    for name in imports:
        importlib.import_module(name)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            live(json.loads(line))
            return
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def live(life: Mapping[str, Any]) -> None:
    with open(os.devnull) as nothing, open(life["log"], "ab") as log:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    os.environ.update(life["variables"])
    countdown = Countdown(int(os.environ["DIES_AFTER"]), counting="DIES_ON_SIGNAL" not in os.environ)
    signal.signal(signal.SIGUSR1, lambda *_: setattr(countdown, "counting", True))
    countdown.watch(psycopg.Cursor, "execute")
    countdown.watch(psycopg.Connection, "commit")
    countdown.watch(botocore.client.BaseClient, "_make_api_call")
    sys.argv = list(life["arguments"])
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
