"""Killed at any instant, an analysis ends with the rows of an undisturbed run."""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from contract.exit_codes import EXIT_DONE, EXIT_TRY_AGAIN
from contract.messages import AnalysisRequest
from tests.batch_job.job import Bench
from tests.batch_job.media import marching, write_video
from tests.flow.dying import lives

pytestmark = pytest.mark.integration

ROUNDS, KILLS = 5, 10  # fifty in all; the rounds share the machine's cores
FRAMES, CHUNK_FRAMES = 300, 4
CHUNKS = FRAMES // CHUNK_FRAMES
FEWEST_STEPS = 20  # that there are to die after, so that the test cannot come to look at none
TERM_SHARE = 0.2  # the rest is SIGKILL

Children = Sequence[Mapping[str, str]]  # for each process of one attempt, what its environment adds


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("march") / "clip.mp4", marching(FRAMES), options={"g": "24"})


class Killer:
    """Starts attempts of a job and ends them early. Everything random comes from one seed."""

    def __init__(self, bench: Bench, connection: psycopg.Connection, children: Children, seed: int) -> None:
        self.bench = bench
        self.connection = connection
        self.children = children
        self.dice = random.Random(seed)
        self.usual_seconds = 0.0  # of an attempt that nobody disturbs

    def committed(self, request: AnalysisRequest) -> dict[int, Any]:
        """Number of each stored chunk, and when it was committed."""
        query = "SELECT number, committed_at FROM videos_chunk WHERE analysis_id = %s"
        return dict(self.connection.execute(query, (request.analysis_id,)).fetchall())

    def undisturbed(self, request: AnalysisRequest) -> None:
        began = time.monotonic()
        assert self.attempt(request, self.children, 1, lambda: False) == ([EXIT_DONE] * len(self.children), [])
        self.usual_seconds = time.monotonic() - began

    def harass(self, request: AnalysisRequest, *, at_most: int) -> int:
        """Kills attempt after attempt, then leaves one alone. How many were killed."""
        kills, children = 0, self.children
        for number in count(1):
            before = self.committed(request)
            instant = self.instant(request) if number <= at_most else lambda: False
            codes, resumed = self.attempt(request, children, number, instant)
            # SIGTERM that comes before the process listens ends it like SIGKILL does.
            assert set(codes) <= {EXIT_DONE, EXIT_TRY_AGAIN, -signal.SIGTERM, -signal.SIGKILL}
            assert set(resumed) <= {CHUNK_FRAMES * len(before)}
            assert self.committed(request).items() >= before.items()
            # AWS Batch retries a job of an array without the others.
            children = [child for child, code in zip(children, codes, strict=True) if code != EXIT_DONE]
            if not children:
                break
            kills += 1
        return kills

    def attempt(
        self, request: AnalysisRequest, children: Children, number: int, instant: Callable[[], bool]
    ) -> tuple[list[int], list[int]]:
        """One process dies at `instant`. Exit codes, and how many stored frames were found where any were."""
        with ExitStack() as stack:
            changes = {"CHUNK_FRAMES": str(CHUNK_FRAMES), "AWS_BATCH_JOB_ATTEMPT": str(number)}
            processes = [stack.enter_context(self.bench.start(request, **changes, **child)) for child in children]
            victim = self.dice.choice(processes)
            while victim.poll() is None and not instant():
                time.sleep(0.005)
            victim.send_signal(signal.SIGTERM if self.dice.random() < TERM_SHARE else signal.SIGKILL)
            logs = [process.communicate(timeout=60)[1] for process in processes]
        lines = [json.loads(line) for log in logs for line in log.splitlines()]
        resumed = [line["frames"] for line in lines if line["event"] == "resumed"]
        return [process.returncode for process in processes], resumed

    def instant(self, request: AnalysisRequest) -> Callable[[], bool]:
        """Anywhere in a process's life, or between two commits of it, or about its last one."""
        kind = self.dice.choice(("anywhere", "between commits", "between commits", "the end"))
        if kind == "anywhere":
            end = time.monotonic() + self.dice.uniform(0, self.usual_seconds)
            return lambda: time.monotonic() > end
        further = len(self.committed(request)) + self.dice.randint(1, 7)
        wanted = CHUNKS if kind == "the end" else min(CHUNKS, further)
        pause = self.dice.uniform(0, 0.03)

        def come() -> bool:
            there = len(self.committed(request)) >= wanted
            time.sleep(pause if there else 0)
            return there

        return come


def array_of(size: int) -> Children:
    return [
        {
            "AWS_BATCH_JOB_ID": f"array:{index}",
            "AWS_BATCH_JOB_ARRAY_INDEX": str(index),
            "AWS_BATCH_JOB_ARRAY_SIZE": str(size),
        }
        for index in range(size)
    ]


@pytest.mark.parametrize(
    "children", [pytest.param(({},), id="one job"), pytest.param(array_of(3), id="array of three")]
)
@pytest.mark.parametrize("turn", range(ROUNDS))
def test_kills_change_no_row(bench: Bench, clip: Path, children: Children, turn: int) -> None:
    """What is committed is never done again, so that a kill costs at most the chunk at hand."""
    seed = int(os.environ.get("KILLS_SEED") or random.SystemRandom().randrange(10**6)) + turn
    print(f"KILLS_SEED={seed - turn}")
    with psycopg.connect(bench.database_url, autocommit=True) as connection:
        killer = Killer(bench, connection, children, seed)
        key = bench.upload(clip)
        calm = bench.add_analysis(key, thumbnails=2)
        killer.undisturbed(calm)
        kills = 0
        while kills < KILLS:
            request = bench.add_analysis(key, thumbnails=2)
            kills += killer.harass(request, at_most=KILLS - kills)
            assert bench.rows(request) == bench.rows(calm)
            ours, theirs = bench.analysis(request), bench.analysis(calm)
            assert ours["status"] == "succeeded"
            assert ours["decode_report"] == theirs["decode_report"]
            assert without_id(ours) == without_id(theirs)


def without_id(analysis: dict[str, Any]) -> str:
    """The summary; the keys of pictures hold the analysis' id."""
    return json.dumps(analysis["summary"]).replace(str(analysis["id"]), "")


@pytest.mark.timeout(600)
def test_kill_after_each_single_step_changes_no_row(bench: Bench, tmp_path: Path) -> None:
    """Attempt n dies after its step n: a statement, a commit, a call to S3. The last one lives through all."""
    key = bench.upload(write_video(tmp_path / "clip.mp4", marching(3 * CHUNK_FRAMES), options={"g": "4"}))
    calm = bench.add_analysis(key, thumbnails=2)
    assert bench.run(calm, CHUNK_FRAMES=str(CHUNK_FRAMES))[0] == EXIT_DONE
    request = bench.add_analysis(key, thumbnails=2)
    job = bench.environment(request, CHUNK_FRAMES=str(CHUNK_FRAMES))
    with lives(tmp_path, "batch_job.running", "batch_job.openvino_engine", environment=job) as attempts:
        for attempt in count(1):
            code = attempts.die("batch_job", after=attempt, AWS_BATCH_JOB_ATTEMPT=str(attempt))
            assert code in (EXIT_DONE, -signal.SIGKILL), attempts.log.read_text()
            if code == EXIT_DONE:
                break
    assert attempt > FEWEST_STEPS
    assert bench.rows(request) == bench.rows(calm)
    assert without_id(bench.analysis(request)) == without_id(bench.analysis(calm))
