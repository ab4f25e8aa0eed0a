"""The jobs of an array as real processes on a real database: the rows are those of a single job."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.exit_codes import EXIT_DONE
from contract.messages import AnalysisRequest
from tests.batch_job.job import Bench
from tests.batch_job.media import marching, write_video

pytestmark = pytest.mark.integration

SIZE, FRAMES = 3, 60
CHUNKS = {"CHUNK_FRAMES": "8"}


def child(index: int, *, attempt: int = 1) -> dict[str, str]:
    return CHUNKS | {
        "AWS_BATCH_JOB_ID": f"array:{index}",
        "AWS_BATCH_JOB_ATTEMPT": str(attempt),
        "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
        "AWS_BATCH_JOB_ARRAY_SIZE": str(SIZE),
    }


def run_together(bench: Bench, request: AnalysisRequest, order: Sequence[int] = range(SIZE)) -> list[int]:
    """Exit codes."""
    jobs = [bench.start(request, **child(index)) for index in order]
    for job in jobs:
        job.communicate(timeout=120)
    return [job.returncode for job in jobs]


def single(bench: Bench, key: str, **options: Any) -> AnalysisRequest:
    request = bench.add_analysis(key, **options)
    code, log = bench.run(request, **CHUNKS)
    assert code == EXIT_DONE, log
    return request


def assert_same(bench: Bench, ours: AnalysisRequest, theirs: AnalysisRequest) -> None:
    assert bench.rows(ours) == bench.rows(theirs)
    one, other = bench.analysis(ours), bench.analysis(theirs)
    assert one["status"] == other["status"] == "succeeded"
    assert one["decode_report"] == other["decode_report"]
    assert (one["frames_done"], one["frames_total"]) == (other["frames_done"], other["frames_total"])
    assert one["summary"]["per_class"] == other["summary"]["per_class"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("array")
    return write_video(folder / "clip.mp4", marching(FRAMES), options={"g": "10", "bf": "2"})


@pytest.mark.parametrize(
    "sampling", [{}, {"every_nth": 2}, {"track": False}], ids=["every frame", "2nd", "no tracks"]
)
def test_an_array_stores_what_a_single_job_stores(bench: Bench, clip: Path, sampling: dict[str, Any]) -> None:
    key = bench.upload(clip)
    together = bench.add_analysis(key, thumbnails=2, **sampling)
    assert run_together(bench, together) == [EXIT_DONE] * SIZE
    assert_same(bench, together, single(bench, key, thumbnails=2, **sampling))
    claim = bench.analysis(together)
    assert (claim["claim_job_id"], claim["claim_attempt"]) == ("array", 0)


def test_one_after_the_other_is_the_same(bench: Bench, clip: Path) -> None:
    """Spot gives machines when it likes."""
    key = bench.upload(clip)
    request = bench.add_analysis(key)
    for index in (2, 0, 1):
        assert bench.analysis(request)["status"] != "succeeded"
        assert bench.run(request, **child(index))[0] == EXIT_DONE
    assert_same(bench, request, single(bench, key))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)], ids=["in order", "backwards"])
def test_a_damaged_video_is_left_to_one_job(
    bench: Bench, clip: Path, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """What is behind the damage can only be numbered by who has seen what is before it."""
    content = bytearray(clip.read_bytes())
    random = np.random.default_rng(5)
    for place in random.integers(len(content) // 4, len(content) // 2, 40):
        content[place] = int(random.integers(0, 256))
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(bytes(content))
    key = bench.upload(damaged, key="uploads/1/damaged")
    request = bench.add_analysis(key)
    for index in order:
        assert bench.run(request, **child(index))[0] == EXIT_DONE
    assert bench.analysis(request)["claim_job_id"] in {f"array:{index}" for index in range(SIZE)}
    assert_same(bench, request, single(bench, key))


def test_a_video_without_an_index_is_the_first_jobs(bench: Bench, tmp_path: Path) -> None:
    """H.264 in AVI, whose packets do not tell when a picture is shown."""
    path = write_video(tmp_path / "clip.avi", marching(FRAMES))
    key = bench.upload(path, key="uploads/1/avi")
    request = bench.add_analysis(key)
    assert run_together(bench, request) == [EXIT_DONE] * SIZE
    assert bench.analysis(request)["claim_job_id"] == "array:0"
    assert_same(bench, request, single(bench, key))


def test_a_video_that_cannot_be_read_fails_once(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "text.mp4"
    path.write_text("no video")
    request = bench.add_analysis(bench.upload(path, key="uploads/1/text"))
    codes = [bench.run(request, **child(index))[0] for index in range(SIZE)]
    analysis = bench.analysis(request)
    assert (analysis["status"], analysis["error_code"]) == ("failed", "video_unreadable")
    assert codes[1:] == [EXIT_DONE] * 2  # they find it failed
    assert [status for status, _ in analysis["events"]].count("failed") == 1


def test_another_job_has_no_part_in_it(bench: Bench, clip: Path) -> None:
    """A message that came twice may start a second job, single or array."""
    request = bench.add_analysis(bench.upload(clip))
    assert bench.run(request, **child(0))[0] == EXIT_DONE
    before = bench.rows(request)
    code, log = bench.run(request, **CHUNKS, AWS_BATCH_JOB_ID="single")
    assert (code, "nothing to do" in log) == (EXIT_DONE, True)
    code, log = bench.run(request, **(child(1) | {"AWS_BATCH_JOB_ID": "other:1"}))
    assert (code, "nothing to do" in log) == (EXIT_DONE, True)
    assert bench.rows(request) == before


def test_a_video_that_is_replaced_meanwhile_is_analysed_anew(bench: Bench, clip: Path, tmp_path: Path) -> None:
    """Rows of two videos must not be mixed, nor those of two models."""
    other = write_video(tmp_path / "other.mp4", marching(FRAMES + 20)[20:])
    key = bench.upload(clip, key="uploads/1/replaced")
    request = bench.add_analysis(key)
    assert bench.run(request, **child(0))[0] == EXIT_DONE
    bench.upload(other, key=key)
    assert bench.run(request, **child(1))[0] == EXIT_DONE
    assert bench.run(request, **child(2))[0] == EXIT_DONE
    assert bench.analysis(request)["claim_job_id"] == "array:1"
    assert_same(bench, request, single(bench, key))
