"""`python -m tests.flow.dying MODULE ARGUMENTS...`: runs a module of the product as a process that kills itself.

SIGKILL comes right after the step number DIES_AFTER: a statement or commit on PostgreSQL, or a call to AWS,
counted from the start or, with DIES_ON_SIGNAL, from SIGUSR1. So every point between two steps can be reached, and
the product needs no branch for it.
"""

import os
import runpy
import signal
import sys
from collections.abc import Callable
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


def main() -> None:
    countdown = Countdown(int(os.environ["DIES_AFTER"]), counting="DIES_ON_SIGNAL" not in os.environ)
    signal.signal(signal.SIGUSR1, lambda *_: setattr(countdown, "counting", True))
    countdown.watch(psycopg.Cursor, "execute")
    countdown.watch(psycopg.Connection, "commit")
    countdown.watch(botocore.client.BaseClient, "_make_api_call")
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
