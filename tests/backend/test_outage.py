"""PostgreSQL goes away and comes back under a real server: answers stay quick and honest, nothing is lost."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest

from tests.backend.serving import Database, serving
from tests.outage import Proxy

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 8
TRIES = 3  # a machine that stands still for a while does not do so each time


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    client: httpx.Client
    database: Proxy
    database_url: str  # past the proxy


@pytest.fixture(scope="module")
def running(
    module_database_url: str, aws_endpoint: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    parts = urlsplit(module_database_url)
    assert parts.hostname is not None
    assert parts.port is not None
    log = tmp_path_factory.mktemp("server") / "log"
    with (
        Proxy((parts.hostname, parts.port)) as proxy,
        serving(log, DATABASE_URL=proxy.url_of(module_database_url)) as client,
    ):
        client.cookies.set("sessionid", "a" * 32)  # makes pages ask the database who this is
        client.headers["Authorization"] = f"Api-Key {Database(module_database_url).api_key()}"
        yield Running(client=client, database=proxy, database_url=module_database_url)


def answers_within_patience(client: httpx.Client, *requests: tuple[str, str, object]) -> list[httpx.Response]:
    """All asked at the same time, as many users would."""
    for _ in range(TRIES):
        started = time.monotonic()
        with ThreadPoolExecutor(len(requests)) as pool:
            answers = list(
                pool.map(lambda request: client.request(request[0], request[1], json=request[2]), requests)
            )
        if time.monotonic() - started < PATIENCE_SECONDS:
            return answers
    raise AssertionError(f"never within {PATIENCE_SECONDS} seconds")


def assert_sorry(answer: httpx.Response) -> None:
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "database_unavailable"
    assert int(answer.headers["Retry-After"]) > 0


def uploaded_video(running: Running) -> str:
    body = {"filename": "a.mp4", "size_bytes": 5}
    video: str = running.client.post("/api/videos", json=body).json()["id"]
    with psycopg.connect(running.database_url) as connection:
        connection.execute("UPDATE videos_video SET status = 'ready' WHERE id = %s", [video])
    return video


def assert_back_in_time(running: Running) -> None:
    """The database is there again, and requests are served soon."""
    for _ in range(TRIES):
        started = time.monotonic()
        while running.client.get("/readyz").status_code != 200:
            assert time.monotonic() - started < 90
            time.sleep(0.1)
        if time.monotonic() - started < PATIENCE_SECONDS:
            return
        running.database.refuse()
        running.client.get("/readyz")
        running.database.restore()
    raise AssertionError(f"never within {PATIENCE_SECONDS} seconds")


def test_stopped_database_is_503_and_requests_are_served_again_afterwards(running: Running):
    video = uploaded_video(running)
    request = {"video": video, "model": "shapes"}
    running.database.refuse()
    try:
        *sorry, alive, page = answers_within_patience(
            running.client,
            ("GET", "/api/videos", None),
            ("GET", f"/api/analyses/{uuid4()}", None),
            ("POST", "/api/analyses", request),
            ("GET", "/readyz", None),
            ("GET", "/healthz", None),
            ("GET", "/", None),
        )
        for answer in sorry:
            assert_sorry(answer)
        assert alive.json() == {"status": "alive"}
        assert page.status_code == 503
        assert "What was stored stays stored" in page.text
    finally:
        running.database.restore()
    assert_back_in_time(running)
    assert running.client.post("/api/analyses", json=request).status_code == 202
    assert len(running.client.get("/api/analyses").json()["results"]) == 1


def test_short_outage_between_two_requests_is_not_noticed(running: Running):
    """Connections of the pool are checked before they are used."""
    assert running.client.get("/api/videos").status_code == 200
    running.database.refuse()
    running.database.restore()
    assert running.client.get("/api/videos").status_code == 200


def test_frozen_database_is_503_for_new_connections(running: Running):
    """The port takes connections, but nobody answers."""
    running.database.refuse()
    running.database.restore()
    running.database.hang()
    try:
        (answer,) = answers_within_patience(running.client, ("GET", "/api/videos", None))
        assert_sorry(answer)
    finally:
        running.database.refuse()
        running.database.restore()
    assert_back_in_time(running)
    assert running.client.get("/readyz").json() == {"status": "ready"}
