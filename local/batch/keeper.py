"""Outlives the service by a moment: when the service is gone, even by SIGKILL, this kills the jobs it left.

Runs as its own process. Standard input carries `+PID` and `-PID` lines, one per process group; its end is the end
of the service. Python's standard library alone, so that it starts in a few milliseconds.
"""

import os
import signal
import sys


def main() -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        change = groups.add if line.startswith("+") else groups.discard
        change(int(line[1:]))
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    main()
