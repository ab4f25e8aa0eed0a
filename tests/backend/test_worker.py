"""The worker as a process: it does its work, survives outages, and stops when told."""

import json
import signal
import subprocess
import time
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command, get_commands

from backend.videos.worker import LOOPS
from tests.backend.making import job_event
from tests.backend.serving import Database, wait_until, worker
from tests.fix_aws import Queue
from tests.outage import Proxy

pytestmark = pytest.mark.integration

STOP_SECONDS = 4  # two, and what a busy machine adds


def stopped_after(running: subprocess.Popen[bytes], signum: int) -> float:
    started = time.monotonic()
    running.send_signal(signum)
    running.wait(timeout=90)
    return time.monotonic() - started


def assert_stops_in_time(seconds: float, signum: int, folder: Path, **variables: str) -> None:
    """`seconds` is what a first one has taken. A machine that stands still does not do so three times."""
    for attempt in ("second", "third"):
        if seconds < STOP_SECONDS:
            return
        with worker(folder / attempt, **variables) as running:
            seconds = stopped_after(running, signum)
    assert seconds < STOP_SECONDS


def test_worker_relays_consumes_buries_and_stops_when_told(
    database_url: str,
    requests_queue: Queue,
    job_events_queue: Queue,
    tmp_path: Path,
):
    database = Database(database_url)
    variables = {
        "DATABASE_URL": database_url,
        "REQUESTS_QUEUE_URL": requests_queue.url,
        "DEAD_REQUESTS_QUEUE_URL": requests_queue.dead_letter_url,
        "JOB_EVENTS_QUEUE_URL": job_events_queue.url,
    }
    with worker(tmp_path / "log", **variables) as running:
        analysis = database.analysis()
        wait_until(lambda: not database.owes())
        job_events_queue.send(job_event(analysis, "RUNNABLE"))
        wait_until(lambda: database.status(analysis) == "submitted")
        lost = database.analysis()
        wait_until(lambda: not database.owes())
        requests_queue.bury(json.dumps({"analysis_id": str(lost)}))
        wait_until(lambda: database.status(lost) == "failed")
        seconds = stopped_after(running, signal.SIGTERM)
        assert running.returncode == 0
    assert_stops_in_time(seconds, signal.SIGTERM, tmp_path, **variables)
    assert [json.loads(body)["analysis_id"] for body in requests_queue.bodies()] == [str(analysis), str(lost)]
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_worker_outlives_database_and_queues_going_away(
    database_url: str, requests_queue: Queue, job_events_queue: Queue, aws_endpoint: str, tmp_path: Path
):
    """It waits, goes on by itself, and what came meanwhile is done."""
    # A poll that an outage cuts off may have received something; that is visible again after this time.
    job_events_queue.client.set_queue_attributes(
        QueueUrl=job_events_queue.url, Attributes={"VisibilityTimeout": "2"}
    )
    database = Database(database_url)
    postgres, aws = urlsplit(database_url), urlsplit(aws_endpoint)
    variables = {
        "DATABASE_URL": database_url,
        "AWS_ENDPOINT_URL": aws_endpoint,
        "REQUESTS_QUEUE_URL": requests_queue.url,
        "DEAD_REQUESTS_QUEUE_URL": requests_queue.dead_letter_url,
        "JOB_EVENTS_QUEUE_URL": job_events_queue.url,
    }
    with (
        Proxy((str(postgres.hostname), int(postgres.port or 0))) as database_proxy,
        Proxy((str(aws.hostname), int(aws.port or 0))) as aws_proxy,
        worker(
            tmp_path / "log",
            **variables
            | {
                "DATABASE_URL": database_proxy.url_of(database_url),
                "AWS_ENDPOINT_URL": aws_proxy.url_of(aws_endpoint),
            },
        ) as running,
    ):
        database_proxy.refuse()
        first = database.analysis()
        job_events_queue.send(job_event(first, "RUNNABLE"))
        time.sleep(1)
        assert running.poll() is None
        assert database.owes()
        database_proxy.restore()
        wait_until(lambda: not database.owes() and database.status(first) == "submitted")

        aws_proxy.refuse()
        second = database.analysis()
        time.sleep(1)
        assert running.poll() is None
        assert database.owes()
        aws_proxy.restore()
        job_events_queue.send(job_event(second, "RUNNABLE"))
        wait_until(lambda: not database.owes() and database.status(second) == "submitted")
        seconds = stopped_after(running, signal.SIGINT)
    assert_stops_in_time(seconds, signal.SIGINT, tmp_path, **variables)
    assert {json.loads(body)["analysis_id"] for body in requests_queue.bodies()} == {str(first), str(second)}


def test_each_loop_has_one_command_of_its_own_and_one_runs_them_all(
    settings: Any, monkeypatch: pytest.MonkeyPatch
):
    """Whoever runs each of the others runs all that `run_worker` does."""
    settings.REQUESTS_QUEUE_URL = settings.JOB_EVENTS_QUEUE_URL = settings.DEAD_REQUESTS_QUEUE_URL = "http://q"
    loops: dict[str, list[str]] = {}
    for name, app in get_commands().items():
        if not app.startswith("backend."):
            continue
        module = import_module(f"{app}.management.commands.{name}")
        if hasattr(module, "run_until_told"):
            run: list[str] = loops.setdefault(name, [])
            monkeypatch.setattr(module, "run_until_told", lambda steps, run=run, **_: run.extend(steps))
            call_command(name)
    everything = loops.pop("run_worker")
    assert sorted(everything) == sorted(LOOPS)
    assert sorted(loop for run in loops.values() for loop in run) == sorted(LOOPS)
