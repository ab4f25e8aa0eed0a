"""The backend as it runs in production: uvicorn and the worker as processes of their own."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import psycopg

from backend.accounts.scopes import ALL
from backend.webhooks.models import EventType
from backend.webhooks.signing import new_secret

PATIENCE_SECONDS = 90.0  # a busy machine may stand still for a while


class Database:
    """Rows as other processes see and make them."""

    def __init__(self, url: str) -> None:
        self.url = url

    def fetch(self, query: str, *values: object) -> object:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(query, values).fetchone()
        return row[0] if row else None

    def user(self) -> int:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(
                "INSERT INTO accounts_user (username, password, is_superuser, is_staff, is_active,"
                " first_name, last_name, email, date_joined)"
                " VALUES (%s, '', false, false, true, '', '', '', now()) RETURNING id",
                [uuid4().hex],
            ).fetchone()
        assert row is not None
        return int(row[0])

    def api_key(self) -> str:
        prefix, secret = uuid4().hex[:12], uuid4().hex + "0123456789_"
        key = f"fb_{prefix}_{secret}"
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "INSERT INTO accounts_apikey (user_id, name, prefix, digest, scopes)"
                " VALUES (%s, 'test', %s, %s, %s)",
                [self.user(), prefix, hashlib.sha256(key.encode()).hexdigest(), list(ALL)],
            )
        return key

    def analysis(self) -> UUID:
        """A queued analysis and the message that is owed for it."""
        user, video, analysis = self.user(), uuid4(), uuid4()
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "INSERT INTO videos_video (id, owner_id, filename, content_type, size_bytes, status)"
                " VALUES (%s, %s, 'a.mp4', 'video/mp4', 1, 'ready')",
                [video, user],
            )
            connection.execute(
                "INSERT INTO videos_analysis (id, owner_id, video_id, model, class_names, options)"
                " VALUES (%s, %s, %s, 'shapes', '[]', '{}')",
                [analysis, user, video],
            )
            connection.execute(
                "INSERT INTO videos_outboxmessage (analysis_id, body) VALUES (%s, %s)",
                [analysis, json.dumps({"analysis_id": str(analysis)})],
            )
        return analysis

    def finished_analysis(self, api_key: str, *, frames: int, per_frame: int) -> UUID:
        """A succeeded analysis of the user whom the key belongs to."""
        analysis = self.analysis()
        found = frames * per_frame
        values = {
            "id": analysis,
            "prefix": api_key.split("_")[1],
            "frames": frames,
            "per_frame": per_frame,
            "summary": json.dumps({"frames": frames, "detections": found, "tracks": 1, "per_class": {}}),
            "report": json.dumps({"width": 640, "height": 384, "time_base": "1/15360"}),
        }
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "UPDATE videos_analysis"
                " SET status = 'succeeded', summary = %(summary)s, decode_report = %(report)s,"
                " owner_id = (SELECT user_id FROM accounts_apikey WHERE prefix = %(prefix)s) WHERE id = %(id)s",
                values,
            )
            connection.execute(
                "INSERT INTO videos_chunk (analysis_id, number, first_frame, pts_us)"
                " SELECT %(id)s, 0, 0, array_agg(n::bigint * 40000) FROM generate_series(0, %(frames)s - 1) AS n",
                values,
            )
            connection.execute(
                "INSERT INTO videos_detection (analysis_id, frame_index, ordinal, pts_us, class_id, track_id,"
                " confidence, x1, y1, x2, y2)"
                " SELECT %(id)s, n, o, n::bigint * 40000, 0, o + 1, 0.7, 0.1, 0.2, 0.3, 0.4"
                " FROM generate_series(0, %(frames)s - 1) AS n, generate_series(0, %(per_frame)s - 1) AS o",
                values,
            )
        return analysis

    def webhook(self, analysis: UUID, url: str) -> None:
        """The owner of the analysis wants to be told there of every end."""
        with psycopg.connect(self.url) as connection:
            connection.execute(
                "INSERT INTO webhooks_endpoint (id, owner_id, url, events, secret)"
                " SELECT %s, owner_id, %s, %s, %s FROM videos_analysis WHERE id = %s",
                [uuid4(), url, EventType.values, new_secret(), analysis],
            )

    def end(self, analysis: UUID, status: str) -> None:
        """As the job does."""
        with psycopg.connect(self.url) as connection:
            connection.execute("UPDATE videos_analysis SET status = %s WHERE id = %s", [status, analysis])
            connection.execute(
                "INSERT INTO videos_analysisevent (analysis_id, at, status, source, detail)"
                " VALUES (%s, now(), %s, 'job', '{}')",
                [analysis, status],
            )

    def status(self, analysis: UUID) -> object:
        return self.fetch("SELECT status FROM videos_analysis WHERE id = %s", analysis)

    def owes(self) -> bool:
        return bool(self.fetch("SELECT count(*) FROM videos_outboxmessage WHERE sent_at IS NULL"))


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, **variables, "PYTHONUNBUFFERED": "1"}


@contextlib.contextmanager
def serving(log: Path, **variables: str) -> Iterator[httpx.Client]:
    """A client of a running server."""
    server = ["-m", "uvicorn", "backend.config.asgi:application", "--host", "127.0.0.1", "--port", "0"]
    with (
        process(log, *server, **variables) as running,
        httpx.Client(base_url=_address(log, running), timeout=90) as client,
    ):
        yield client


@contextlib.contextmanager
def worker(log: Path, command: str = "run_worker", **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    with process(log, "-m", "backend.manage", command, **variables) as running:
        wait_until(lambda: "worker started" in log.read_text())
        yield running


@contextlib.contextmanager
def process(log: Path, *args: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, *args], env=environment(**variables), stdout=output, stderr=subprocess.STDOUT
        ) as running,
    ):
        try:
            yield running
        finally:
            running.send_signal(signal.SIGTERM)
            try:
                running.wait(timeout=10)
            except subprocess.TimeoutExpired:
                running.kill()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened for {PATIENCE_SECONDS:.0f} seconds"
        time.sleep(0.05)


def _address(log: Path, running: subprocess.Popen[bytes]) -> str:
    started = "Uvicorn running on "

    def address() -> str:
        return next(
            (line.split(started)[1].split()[0] for line in log.read_text().splitlines() if started in line), ""
        )

    wait_until(lambda: bool(address()) or running.poll() is not None)
    assert address(), log.read_text()
    return address()
