"""What a killed job leaves on the machine's disk is removed by the next one, and nothing that is in use."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batch_job.scratch import scratch_folder
from tests.batch_job.job import ROOT

WORKS = """
import sys, time
from pathlib import Path
from batch_job.scratch import scratch_folder

with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "video").write_bytes(b"whole")
    print(folder, flush=True)
    time.sleep(600)
"""


@contextmanager
def working(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process, and its folder."""
    command = [sys.executable, "-c", WORKS, str(parent)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_what_a_killed_process_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """The machine may serve for hours, and each would leave it less room."""
    with working(tmp_path) as (process, left):
        process.kill()
        process.wait()
    assert (left / "video").exists()
    with scratch_folder(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine]
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_works_with_stays(tmp_path: Path) -> None:
    """A machine with several GPUs runs several jobs."""
    with working(tmp_path) as (_, other):
        for _ in range(2):
            with scratch_folder(tmp_path) as mine:
                assert mine != other
            assert (other / "video").read_bytes() == b"whole"


def test_what_is_nobodys_of_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "framebatch-notes.txt").write_text("mine")
    with scratch_folder(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {"notes", "framebatch-notes.txt"}


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with scratch_folder(tmp_path) as folder:
            (folder / "video").touch()
            raise MemoryError

    with pytest.raises(MemoryError):
        fail()
    assert list(tmp_path.iterdir()) == []
