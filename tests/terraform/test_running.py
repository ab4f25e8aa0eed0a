"""A terraform that hangs must not hang the whole run."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.terraform.running import Configuration, run_with_all_it_starts

# As terraform and its provider: a child that keeps the pipes open, and outlives what started it.
STARTS_A_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(sys.argv[1] + ".part", "w") as file:
    file.write(str(child.pid))
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize(
    "lasts", [pytest.param("600", id="itself hangs"), pytest.param("0", id="its child keeps the pipes")]
)
def test_what_takes_too_long_is_ended_with_all_that_it_started(tmp_path, lasts):
    told = tmp_path / "child"
    command = [sys.executable, "-c", STARTS_A_CHILD, str(told), lasts]

    for seconds in (5, 90):  # the second where a busy machine has not even started the child within the first
        begun = time.monotonic()
        with pytest.raises(subprocess.TimeoutExpired):
            run_with_all_it_starts(command, seconds=seconds)
        assert time.monotonic() - begun < seconds + 60
        if told.exists():
            break

    child = int(told.read_text(encoding="utf-8"))
    deadline = time.monotonic() + 60
    while _lives(child):
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.1)


def test_output_and_status_of_what_ends_by_itself_are_kept(tmp_path):
    """Also of a failure, of which a test reads the sentence."""
    done = run_with_all_it_starts(
        [sys.executable, "-c", "import os, sys; print(os.getcwd()); sys.exit('a sentence')"],
        seconds=60,
        folder=tmp_path,
    )

    assert (done.stdout, done.stderr, done.returncode) == (f"{tmp_path}\n", "a sentence\n", 1)


def test_terraform_is_run_that_way(tmp_path, monkeypatch):
    program = tmp_path / "terraform"
    program.write_text(f"#!{sys.executable}\nimport os\nprint(os.getsid(0))\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    session = int(Configuration(folder=tmp_path)("version"))

    assert session != os.getsid(0)


def _lives(pid: int) -> bool:
    """A zombie, which nobody has asked for yet, does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
