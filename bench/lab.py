"""What the measures of bench/analyser.py work with: a running stack, and the job as AWS Batch would start it."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from client import Client
from contract import tables
from contract.jobs import REQUEST_VARIABLE
from contract.manifest import ModelEntry
from contract.messages import AnalysisRequest
from contract.options import AnalysisOptions
from local.runtime import REPOSITORY
from local.stack import Stack, StackSettings, running_stack

OUT = REPOSITORY / "bench" / "out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure, and the bar it has to reach or to stay under, if any."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def bar(self) -> float | None:
        return self.at_most if self.at_least is None else self.at_least

    @property
    def ok(self) -> bool:
        if self.at_least is not None:
            return self.value >= self.at_least
        return self.at_most is None or self.value <= self.at_most

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value, "bar": self.bar, "ok": self.ok, "unit": self.unit}


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One analysis, and the environment of its job."""

    database_url: str
    analysis_id: UUID
    environment: Mapping[str, str]

    def start(self, attempt: int = 1) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "batch_job"],
            cwd=REPOSITORY,
            env={**self.environment, "AWS_BATCH_JOB_ATTEMPT": str(attempt)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, attempt: int = 1) -> resource.struct_rusage:
        """What the whole attempt used; raises RuntimeError where it failed."""
        process = self.start(attempt)
        usage = ended(process)
        if process.returncode:
            raise RuntimeError(f"the job ended with {process.returncode}")
        return usage

    def analysis(self, columns: str) -> tuple[Any, ...]:
        query = f"SELECT {columns} FROM {tables.ANALYSIS} WHERE id = %s"
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(query.encode(), [self.analysis_id]).fetchone()
        assert row is not None
        return row


def ended(process: "subprocess.Popen[bytes]") -> resource.struct_rusage:
    """Waits for a process, and gives the kernel's account of it."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


@dataclass(frozen=True, kw_only=True, slots=True)
class Lab:
    stack: Stack
    client: Client
    model: ModelEntry  # YOLOv8n
    videos: Path
    scratch: Path
    rounds: int
    frames: int  # of a clip that is measured

    def job(
        self, video_id: str, *, model: str | None = None, environment: Mapping[str, str] = {}, thumbnails: int = 4
    ) -> Job:
        """Not requested of the backend, so that nothing but the job itself is measured."""
        request = AnalysisRequest(
            analysis_id=uuid4(),
            video_key=f"uploads/1/{video_id}",
            model=model or self.model.name,
            options=AnalysisOptions(thumbnails=thumbnails),
        )
        self.add_analysis(request.analysis_id, video_id, request.model)
        variables = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **self.stack.job_environment,
            # The mount of /opt/runtime is the Batch stand-in's, which has no part in this.
            "RUNTIME_MANIFEST": str(OUT / "stack" / "opt" / "runtime" / "manifest.json"),
            "DATABASE_URL": self.stack.database_url,
            REQUEST_VARIABLE: request.to_json(),
            "AWS_BATCH_JOB_ID": str(uuid4()),
            **environment,
        }
        return Job(database_url=self.stack.database_url, analysis_id=request.analysis_id, environment=variables)

    def add_analysis(self, analysis_id: UUID, video_id: str, model: str) -> None:
        query = sql.SQL(
            "INSERT INTO {} (id, owner_id, video_id, model, class_names, options, status)"
            " SELECT %s, owner_id, id, %s, '[]', '{{}}', 'submitted' FROM videos_video WHERE id = %s"
        ).format(sql.Identifier(tables.ANALYSIS))
        with psycopg.connect(self.stack.database_url, autocommit=True) as connection:
            connection.execute(query, [analysis_id, model, video_id])


@contextmanager
def open_lab(scratch: Path, *, rounds: int, frames: int) -> Iterator[Lab]:
    """Needs FRAMEBATCH_VIDEOS and FRAMEBATCH_MODELS, as tests do. The export is kept between runs."""
    given = [os.environ.get(f"FRAMEBATCH_{name}") for name in ("VIDEOS", "MODELS")]
    if not all(given):
        sys.exit("FRAMEBATCH_VIDEOS and FRAMEBATCH_MODELS must name the folders with the clip and the weights.")
    videos, models = (Path(folder) for folder in given if folder)
    settings = StackSettings(folder=OUT / "stack", port=0, own_model=models / "yolov8n_coco.pt", job_vcpus=1)
    with running_stack(settings, say=say) as stack, Client(stack.url, stack.api_key) as client:
        assert stack.own_model is not None
        yield Lab(
            stack=stack,
            client=client,
            model=stack.own_model,
            videos=videos,
            scratch=scratch,
            rounds=rounds,
            frames=frames,
        )


def report(name: str, rows: list[Row]) -> int:
    """Writes bench/out/{name}.json and prints it; the exit status, 1 where a bar was missed."""
    OUT.mkdir(parents=True, exist_ok=True)
    document = json.dumps([row.to_dict() for row in rows], indent=2, ensure_ascii=False)
    (OUT / f"{name}.json").write_text(document + "\n", encoding="utf-8")
    for row in rows:
        verdict = "" if row.bar is None else f"   bar {row.bar:g}   {'ok' if row.ok else 'MISSED'}"
        print(f"{row.name:<62}{row.value:>12,} {row.unit}{verdict}")
    return 0 if all(row.ok for row in rows) else 1


def say(line: str) -> None:
    print(f"· {line}", file=sys.stderr, flush=True)
