"""`python -m tests.batch_job.halting MODULE:FUNCTION TIMES`: the job, which stands still where a test wants it to.

SIGSTOP comes right after the function has returned so many times. So a test that wants to meet the job at work
does, however slow the test is.
"""

import importlib
import os
import runpy
import signal
import subprocess
import sys
import time
from typing import Any

import psutil


def wait_until_halted(process: subprocess.Popen[str]) -> None:
    """SIGCONT lets it go on; SIGKILL needs none."""
    deadline = time.monotonic() + 90
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def main() -> None:
    place, times = sys.argv[1:]
    module, _, path = place.partition(":")
    *parents, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    original, left = getattr(owner, name), int(times)

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal left
        result = original(*args, **kwargs)
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGSTOP)
        return result

    setattr(owner, name, counted)
    sys.argv = ["batch_job"]
    runpy.run_module("batch_job", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
