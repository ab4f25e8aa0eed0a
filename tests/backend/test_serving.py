"""What uvicorn and `backend.config.asgi` promise together, so that one client cannot hold up the others or lie."""

import socket
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from tests.backend.serving import Database, serving, wait_until

pytestmark = pytest.mark.integration

MORE_THAN_THREADS = 40  # a process has 20 for brief answers


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        pytest.param("POST", "/api/analyses", "application/json", id="an endpoint that reads it"),
        pytest.param("POST", "/login", "application/x-www-form-urlencoded", id="a form that anybody sends"),
        pytest.param("GET", "/api/models", "application/json", id="where none belongs"),
    ],
)
def test_bodies_that_do_not_come_hold_up_nobody(
    database_url: str, tmp_path: Path, method: str, path: str, content_type: str
):
    headers = {
        "Host": "127.0.0.1",
        "Authorization": f"Api-Key {Database(database_url).api_key()}",
        "Cookie": f"csrftoken={'a' * 32}",  # a form without one is refused before it is read
        "Content-Type": content_type,
        "Content-Length": "1000",
    }
    head = "\r\n".join([f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())])
    with ExitStack() as stack:
        client = stack.enter_context(serving(tmp_path / "log", DATABASE_URL=database_url))
        place = (client.base_url.host, client.base_url.port or 0)
        for _ in range(MORE_THAN_THREADS):
            stalling = stack.enter_context(socket.create_connection(place, timeout=60))
            stalling.sendall(f"{head}\r\n\r\nhalf of a body".encode())
        for _ in range(3):
            assert client.get("/login", timeout=60).status_code == 200


@pytest.mark.parametrize("path", ["/api/videos", "/login", "/nowhere"])
def test_body_that_is_too_large_is_refused_before_anything_is_asked(database_url: str, tmp_path: Path, path: str):
    """Until all of it has come, Django writes it to the disk, whoever sends it and wherever to."""
    with serving(tmp_path / "log", DATABASE_URL=database_url) as client:
        pieces = (bytes(1024**2) for _ in range(8))
        answer = client.post(path, content=pieces, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        assert client.get("/healthz").status_code == 200


def test_access_log_tells_what_was_asked_and_no_token_of_a_forgotten_password(database_url: str, tmp_path: Path):
    """It is good for days, and whoever has it sets the password."""
    with serving(log := tmp_path / "log", DATABASE_URL=database_url) as client:
        assert client.get("/password/new/MQ/d1f2a3-token").status_code == 200
        wait_until(lambda: "GET /password/new/MQ/..." in log.read_text())
    assert "token" not in log.read_text()


def test_polls_by_key_come_over_a_connection_of_the_event_loop(database_url: str, tmp_path: Path):
    """Only the first: it notes the key's use, and takes from the database what the process may hand out."""
    database = Database(database_url)
    key = database.api_key()
    path = f"/api/analyses/{database.finished_analysis(key, frames=1, per_frame=1)}"
    mine = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'framebatch polls' AND datname = %s"
    with serving(tmp_path / "log", DATABASE_URL=database_url) as client:
        client.headers["Authorization"] = f"Api-Key {key}"
        answers = [client.get(path) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert (
            len({answer.content for answer in answers}) == len({answer.headers["ETag"] for answer in answers}) == 1
        )
        assert database.fetch(mine, psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]) == 1
        assert client.get(path, headers={"Authorization": "Api-Key no"}).json()["code"] == "authentication_failed"


@pytest.mark.parametrize(
    ("trusted", "counted"),
    [
        pytest.param("192.0.2.0/24", "127.0.0.1", id="from anybody"),
        pytest.param("127.0.0.0/8", "198.51.100.9", id="from the proxy"),
    ],
)
def test_address_that_counts_for_signing_in_is_not_what_the_client_says(
    database_url: str, tmp_path: Path, trusted: str, counted: str
):
    """Of what a proxy passes on, the last address is its own word, and what comes before is the client's."""
    with serving(tmp_path / "log", DATABASE_URL=database_url, FORWARDED_ALLOW_IPS=trusted) as client:
        token = client.get("/login").cookies["csrftoken"]
        answer = client.post(
            "/login",
            data={"username": "ada", "password": "wrong", "csrfmiddlewaretoken": token},
            headers={"X-Forwarded-For": "203.0.113.5, 198.51.100.9"},
        )
        assert answer.status_code == 200
    with psycopg.connect(database_url) as direct:
        addresses = direct.execute(
            "SELECT subject FROM accounts_count WHERE subject LIKE '%:address:%'"
        ).fetchall()
    assert addresses == [(f"sign-in:address:{counted}",)]
