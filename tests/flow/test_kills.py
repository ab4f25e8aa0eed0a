"""Killed after each single step, backend, worker and poller lose no request and double none.

The job's kills are in tests/batch_job/test_kills.py.
"""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import boto3
import httpx
import pytest

from contract.jobs import job_name
from contract.messages import AnalysisRequest
from local import aws
from local.batch.events import NoEvents
from local.batch.server import BatchServer
from local.batch.service import BatchService, ServiceSettings
from local.batch.subprocess_runner import SubprocessRunner
from tests.backend.making import FACTS, job_event
from tests.backend.serving import Database, environment, serving, wait_until, worker
from tests.fix_aws import Queue
from tests.flow.dying import Lives, lives

pytestmark = pytest.mark.integration

# More than each of them has for one piece of work; the tests prove that, for the consumer those of its loop.
MOST_STEPS = {"relay": 6, "consumer": 7, "poller": 9, "backend": 24}


@pytest.fixture
def own_database(database_url: str) -> Database:
    return Database(database_url)


@pytest.fixture
def queue(sqs_client: Any) -> Queue:
    return fresh_queue(sqs_client)


def fresh_queue(sqs_client: Any) -> Queue:
    """Its messages come again after a second, and as often as it takes."""
    url = sqs_client.create_queue(QueueName=f"kills-{uuid4().hex}", Attributes={"VisibilityTimeout": "1"})
    return Queue(client=sqs_client, url=url["QueueUrl"], dead_letter_url="")


def test_the_relay_sends_each_message_at_least_once(own_database: Database, queue: Queue, tmp_path: Path):
    variables = {"DATABASE_URL": own_database.url, "REQUESTS_QUEUE_URL": queue.url}
    owed = set()
    with lives(tmp_path, "backend.config.asgi", environment=environment(**variables)) as relays:
        for after in range(1, MOST_STEPS["relay"] + 1):
            owed.add(str(own_database.analysis()))
            assert relays.die("backend.manage", "relay_outbox", after=after) == -signal.SIGKILL
    # The last kill came after the work was done: every step before it has been the last one once.
    assert not own_database.owes()
    owed.add(str(own_database.analysis()))
    with worker(tmp_path / "log", "relay_outbox", **variables):
        wait_until(lambda: not own_database.owes())
    assert {json.loads(body)["analysis_id"] for body in received(queue)} == owed


def test_the_consumer_applies_each_event(own_database: Database, queue: Queue, tmp_path: Path):
    variables = {"DATABASE_URL": own_database.url, "JOB_EVENTS_QUEUE_URL": queue.url}
    told: list[UUID] = []
    with lives(tmp_path, "backend.config.asgi", environment=environment(**variables)) as consumers:
        for after in range(1, MOST_STEPS["consumer"] + 1):
            told.append(own_database.analysis())
            queue.send(job_event(told[-1], "RUNNABLE", job_id=f"job-{after}"))
            assert consumers.die("backend.manage", "consume_job_events", after=after) == -signal.SIGKILL
    with worker(tmp_path / "log", "consume_job_events", **variables):
        wait_until(lambda: all(own_database.status(one) == "submitted" for one in told))
        wait_until(lambda: queue.counts() == (0, 0))
    histories = [
        own_database.fetch("SELECT count(*) FROM videos_analysisevent WHERE analysis_id = %s", one) for one in told
    ]
    assert histories == [1] * len(told)


@pytest.fixture
def batch_url(tmp_path: Path) -> Iterator[str]:
    service = BatchService(
        ServiceSettings(log_folder=tmp_path), runner=SubprocessRunner({}), events=NoEvents(), resolve_secret=str
    )
    with service, BatchServer(service) as server:
        yield server.url


def test_the_poller_makes_one_job_of_each_message(
    queue: Queue, sqs_client: Any, batch_url: str, aws_endpoint: str, tmp_path: Path
):
    account = aws.Account(
        requests_queue_url="", dead_requests_queue_url="", job_events_queue_url="", database_secret_arn="arn:aws:x"
    )
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
    definition = aws.create_batch(session, batch_url, environment={}, account=account, vcpus=1)
    variables = {
        "AWS_ENDPOINT_URL_BATCH": batch_url,
        "JOB_QUEUE": aws.JOB_QUEUE,
        "JOB_DEFINITION": definition,
        "JOB_EVENTS_QUEUE_URL": queue_for_notices(queue),
    }
    asked, codes = [], []
    handler = "lambda_sqs_to_batch.handler"
    with lives(tmp_path, "local.poller", handler, environment=environment(**variables)) as pollers:
        for after in range(1, MOST_STEPS["poller"] + 1):
            alone = fresh_queue(sqs_client)
            poll = ("local.poller", "--queue-url", alone.url, "--handler", f"{handler}.handler")
            poll += ("--function-timeout", "1", "--once")
            request = AnalysisRequest(analysis_id=uuid4(), video_key="v", model="m")
            asked.append(request.analysis_id)
            alone.send(request.to_json())
            codes.append(pollers.die(*poll, after=after))
            while alone.counts() != (0, 0):
                assert pollers.die(*poll, after=1000) == 0
    assert codes[0] == -signal.SIGKILL
    assert codes[-1] == 0  # every step before was the last one once
    with closing(session.client("batch", endpoint_url=batch_url)) as batch:
        for analysis_id in asked:
            filters = [{"name": "JOB_NAME", "values": [job_name(analysis_id)]}]
            assert len(batch.list_jobs(jobQueue=aws.JOB_QUEUE, filters=filters)["jobSummaryList"]) == 1


def test_the_backend_promises_all_of_an_analysis_or_nothing(own_database: Database, tmp_path: Path):
    """Whoever hears nothing asks again with the same key, and there is one analysis, one message, one charge."""
    variables = {"DATABASE_URL": own_database.url}
    key = own_database.api_key()
    owner = own_database.fetch("SELECT user_id FROM accounts_apikey LIMIT 1")
    video = uuid4()
    own_database.fetch(
        "INSERT INTO videos_video (id, owner_id, filename, content_type, size_bytes, status, facts)"
        " VALUES (%s, %s, 'a.mp4', 'video/mp4', 1, 'ready', %s) RETURNING 1",
        video,
        owner,
        json.dumps(FACTS),
    )
    own_database.fetch("UPDATE accounts_user SET plan = 'enterprise' WHERE id = %s RETURNING 1", owner)
    answered = 0
    imports = ("backend.config.asgi", "backend.config.urls", "uvicorn", "uvloop", "httptools")
    with (
        serving(tmp_path / "log", **variables) as calm,
        lives(tmp_path, *imports, environment=environment(**variables)) as servers,
    ):
        for after in range(1, MOST_STEPS["backend"] + 1):
            headers = {"Authorization": f"Api-Key {key}", "Idempotency-Key": f"key-{after}"}
            answered += asked_of_a_dying_one(servers, after, video, headers)
            again = calm.post("/api/analyses", json={"video": str(video)}, headers=headers)
            assert again.status_code == 202
        assert answered >= 1  # its last steps come after the answer
    for table in ("videos_analysis", "videos_outboxmessage", "videos_analysisevent", "videos_idempotencykey"):
        assert own_database.fetch(f"SELECT count(*) FROM {table}") == MOST_STEPS["backend"]
    reserved = own_database.fetch("SELECT count(*) FROM plans_ledgerentry WHERE kind = 'reservation'")
    assert reserved == MOST_STEPS["backend"]


def asked_of_a_dying_one(servers: Lives, after: int, video: UUID, headers: dict[str, str]) -> bool:
    """Did it answer before it died?"""
    server = ("uvicorn", "backend.config.asgi:application", "--port", "0")
    pid = servers.begin(*server, after=after, DIES_ON_SIGNAL="1")
    wait_until(lambda: "Uvicorn running on" in servers.log.read_text())
    address = servers.log.read_text().split("Uvicorn running on ")[1].split()[0]
    os.kill(pid, signal.SIGUSR1)
    try:
        answer = httpx.post(
            f"{address}/api/analyses", json={"video": str(video)}, headers=headers, timeout=90, trust_env=False
        )
    except httpx.TransportError:
        return False
    else:
        return answer.status_code == 202
    finally:
        servers.stop()


def queue_for_notices(queue: Queue) -> str:
    url: str = queue.client.create_queue(QueueName=f"notices-{uuid4().hex}")["QueueUrl"]
    return url


def received(queue: Queue) -> list[str]:
    bodies: list[str] = []
    while queue.counts()[0]:
        bodies += queue.bodies()
    return bodies
