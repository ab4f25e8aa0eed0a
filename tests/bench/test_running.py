"""The benches of the API and of the Lambda run, against real processes, and give the figures that the bars are of.

For moments instead of minutes, with few users: nothing here says how fast anything is.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]  # each starts a stack, or a part of one

API = {
    "POST an analysis at 50/s, p50": "ms",
    "POST an analysis at 50/s, p99": "ms",
    "POST an analysis at 50/s, answers other than 202": "",
    "status at 200/s, p50": "ms",
    "status at 200/s, p99": "ms",
    "status at 200/s, answers other than 200": "",
    "load average of the machine": "",
    "status, as fast as it goes": "/s",
    "a bare view on the same server": "/s",
    "status ÷ bare view": "×",
    "server's processor time of a status": "ms",
    "server's processor time of a bare view": "ms",
    "streams held by one process": "",
    "memory of each in the server": "KiB",
    "threads of the server with all of them": "",
    "streams opened in a second": "/s",
    "commit to client, an event for each at once, p50": "ms",
    "commit to client, an event for each at once, p99": "ms",
    "processor time of the server for it, each": "us",
}
LAMBDA = {
    "cold import": "s",
    "cold import, processor": "s",
    "zip": "bytes",
    "ten records, processor": "ms",
    "their calls alone, processor": "ms",
    "ten records beyond their calls": "ms",
    "load average of the machine": "",
}


Figures = dict[str, dict[str, Any]]


def figures(out: Path, module: str, name: str, *arguments: str, smaller: dict[str, Any]) -> Figures:
    """Of one run, by name; what it writes lies in `out`, not among the figures that somebody measured."""
    program = (
        "import importlib, pathlib, sys, bench.lab\n"
        f"bench.lab.OUT = pathlib.Path({str(out)!r})\n"
        f"module = importlib.import_module({module!r})\n"
        f"vars(module).update({smaller!r})\n"
        "sys.exit(module.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=500
    )
    assert done.returncode in (0, 1), done.stderr  # 1: a bar was missed, which is to be expected of this
    rows = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    printed = done.stdout.splitlines()
    assert [line.startswith(row["name"]) for line, row in zip(printed, rows, strict=True)] == [True] * len(rows)
    assert all(isinstance(row["value"], int | float) for row in rows)
    return {row["name"]: row for row in rows}


def bars(found: Figures) -> dict[str, float]:
    return {name: row["bar"] for name, row in found.items() if row["bar"] is not None}


def test_bench_of_the_api_measures_what_its_bars_are_of(tmp_path: Path):
    found = figures(
        tmp_path,
        "bench.api",
        "api",
        *("--seconds", "1", "--streams", "20"),
        smaller={"USERS": 8, "CLIENTS": 2, "POSTS_PER_SECOND": 10.0, "POLLS_PER_SECOND": 20.0},
    )
    assert {name: row["unit"] for name, row in found.items()} == API
    assert bars(found) == {
        "POST an analysis at 50/s, p99": 100,
        "POST an analysis at 50/s, answers other than 202": 0,
        "status at 200/s, p99": 50,
        "status at 200/s, answers other than 200": 0,
        "status ÷ bare view": 0.5,
    }
    for name in found:
        if "answers other than" in name:
            assert found[name]["value"] == 0, name  # it asks for what it means to ask for
    assert found["streams held by one process"]["value"] == 20


def test_bench_of_the_lambda_measures_what_its_bars_are_of(tmp_path: Path):
    found = figures(tmp_path, "bench.submitter", "lambda", smaller={"ROUNDS": 1})
    assert {name: row["unit"] for name, row in found.items()} == LAMBDA
    assert bars(found) == {"cold import": 0.4, "zip": 100_000, "ten records beyond their calls": 20}
    assert found["ten records, processor"]["value"] > 0
