"""Starts the job as AWS Batch would, and reads back what it has stored."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from contract.messages import AnalysisRequest
from contract.options import AnalysisOptions
from tests.stored import rows_of

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """A database, a bucket and a manifest, and the analyses in them."""

    database_url: str
    bucket: str
    s3: Any
    manifest: Path
    scratch: Path

    def upload(self, path: Path, *, key: str = "uploads/1/video") -> str:
        self.s3.upload_file(str(path), self.bucket, key)
        return key

    def add_analysis(
        self, key: str, *, model: str = "colours", status: str = "submitted", **options: Any
    ) -> AnalysisRequest:
        request = AnalysisRequest(
            analysis_id=uuid4(), video_key=key, model=model, options=AnalysisOptions(**options)
        )
        add_analysis(self.database_url, request, status=status)
        return request

    def move_to_on_demand(self, request: AnalysisRequest) -> AnalysisRequest:
        """As the backend's worker does when the attempts on Spot are used up."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute(
                "UPDATE videos_analysis SET on_demand = true, status = 'queued', claim_job_id = NULL,"
                " claim_attempt = NULL WHERE id = %s",
                [request.analysis_id],
            )
        return replace(request, on_demand=True)

    def environment(self, request: AnalysisRequest, **changes: str) -> dict[str, str]:
        """Only what a container would have, besides what Python and boto3 need of this machine."""
        kept = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID")
        kept += ("AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_EC2_METADATA_DISABLED")
        return {name: os.environ[name] for name in kept if name in os.environ} | {
            "ANALYSIS_REQUEST": request.to_json(),
            "AWS_BATCH_JOB_ID": "job-1",
            "AWS_BATCH_JOB_ATTEMPT": "1",
            "DATABASE_URL": self.database_url,
            "MEDIA_BUCKET": self.bucket,
            "RUNTIME_MANIFEST": str(self.manifest),
            "SCRATCH_DIR": str(self.scratch),
            **changes,
        }

    def start(
        self, request: AnalysisRequest, *, program: Sequence[str] = ("batch_job",), **changes: str
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", *program],
            cwd=ROOT,
            env=self.environment(request, **changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, request: AnalysisRequest, **changes: str) -> tuple[int, str]:
        """Exit code and log."""
        with self.start(request, **changes) as process:
            _, log = process.communicate(timeout=120)
        return process.returncode, log

    def analysis(self, request: AnalysisRequest) -> dict[str, Any]:
        return analysis_row(self.database_url, request.analysis_id)

    def rows(self, request: AnalysisRequest) -> dict[str, list]:
        return result_rows(self.database_url, request.analysis_id)


def add_analysis(database_url: str, request: AnalysisRequest, *, status: str = "submitted") -> None:
    """The rows the backend would have written before the job starts."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        owner = connection.execute("""
            INSERT INTO accounts_user (password, is_superuser, username, first_name, last_name, email, is_staff,
                                       is_active, date_joined)
            VALUES ('', false, gen_random_uuid()::text, '', '', '', false, true, now()) RETURNING id
        """).fetchone()
        assert owner is not None
        video = uuid4()
        connection.execute(
            """
            INSERT INTO videos_video (id, owner_id, filename, content_type, size_bytes, status)
            VALUES (%s, %s, 'clip.mp4', 'video/mp4', 1, 'ready')
            """,
            (video, owner[0]),
        )
        connection.execute(
            """
            INSERT INTO videos_analysis (id, owner_id, video_id, model, class_names, options, status)
            VALUES (%s, %s, %s, %s, '[]', %s, %s)
            """,
            (request.analysis_id, owner[0], video, request.model, "{}", status),
        )


def analysis_row(database_url: str, analysis_id: UUID) -> dict[str, Any]:
    with psycopg.connect(database_url, row_factory=psycopg.rows.dict_row) as connection:
        row = connection.execute("SELECT * FROM videos_analysis WHERE id = %s", (analysis_id,)).fetchone()
        assert row is not None
        events = connection.execute(
            "SELECT status, source, detail FROM videos_analysisevent WHERE analysis_id = %s ORDER BY id",
            (analysis_id,),
        ).fetchall()
    return row | {"events": [(event["status"], event["source"]) for event in events]}


def result_rows(database_url: str, analysis_id: UUID) -> dict[str, list]:
    with psycopg.connect(database_url) as connection:
        return rows_of(connection, str(analysis_id))


def committed_chunks(database_url: str, analysis_id: UUID) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM videos_chunk WHERE analysis_id = %s", (analysis_id,)
        ).fetchone()
    return row[0] if row else 0


def frame_times(rows: dict[str, list]) -> Sequence[int]:
    return [time for _, _, times in rows["chunks"] for time in times]
