"""A process that was asked to stop ends, whatever its main thread is at."""

import subprocess
import sys

import pytest

STOPS = """
import signal, sys, time
from batch_job import stopping
from batch_job.errors import Interrupted

stopping._STOP_WITHIN_SECONDS = 0.5
stop = stopping.StopSignal(exit_code=75)
signal.signal(signal.SIGALRM, stop._hear)  # so that a timer can be the one that asks
with stop.listening():
    try:
        {main}
    except Interrupted:
        sys.exit(0)
"""


@pytest.mark.parametrize(
    ("main", "code"),
    [
        ("signal.raise_signal(signal.SIGTERM); stop.check()", 0),
        ("signal.setitimer(signal.ITIMER_REAL, 0.2); stop.pause(600)", 0),
        ("signal.raise_signal(signal.SIGTERM); time.sleep(600)", 75),
        # An Event's own lock is taken when the signal comes: to set it then is to wait for oneself.
        ("stop._asked._cond.acquire(); signal.raise_signal(signal.SIGTERM); time.sleep(600)", 75),
    ],
    ids=["at a check", "in a pause", "far from any check", "inside the wait"],
)
def test_it_ends_at_the_next_check_and_else_when_its_time_is_up(main, code):
    ended = subprocess.run(
        [sys.executable, "-c", STOPS.format(main=main)], timeout=90, capture_output=True, text=True
    )

    assert (ended.returncode, ended.stderr) == (code, "")
