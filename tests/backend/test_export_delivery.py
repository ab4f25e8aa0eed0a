"""Exports from a real server: to slow, vanishing and unlucky clients."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx
import psycopg
import pytest
from django.conf import settings

from tests.backend.serving import Database, serving, wait_until

pytestmark = pytest.mark.integration

FRAMES, PER_FRAME = 5000, 20  # 15 MB of JSON Lines: more than all buffers on the way hold
SMALL_WINDOW = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    client: httpx.Client
    database: Database
    api_key: str
    log: Path

    def analysis(self, *, frames: int = FRAMES) -> UUID:
        return self.database.finished_analysis(self.api_key, frames=frames, per_frame=PER_FRAME)

    @contextmanager
    def begun(self, analysis: UUID) -> Iterator[Iterator[bytes]]:
        """An export of which the first bytes have come; the server can send no more than one reads."""
        transport = httpx.HTTPTransport(socket_options=SMALL_WINDOW)
        with (
            httpx.Client(transport=transport, headers=self.client.headers, timeout=60) as client,
            client.stream("GET", f"{self.client.base_url}/api/analyses/{analysis}/exports/jsonl") as answer,
        ):
            assert answer.status_code == 200
            pieces = answer.iter_raw(1000)
            assert next(pieces)
            yield pieces

    def delete_detections(self, analysis: UUID) -> None:
        with psycopg.connect(self.database.url) as connection:
            connection.execute("DELETE FROM videos_detection WHERE analysis_id = %s", [analysis])

    def logged(self, event: str, analysis: UUID) -> bool:
        return f"{event} analysis_id={analysis} format=jsonl" in self.log.read_text()


@pytest.fixture(scope="module")
def running(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("server") / "log"
    database = Database(module_database_url)
    with serving(log, DATABASE_URL=module_database_url) as client:
        key = database.api_key()
        client.headers["Authorization"] = f"Api-Key {key}"
        yield Running(client=client, database=database, api_key=key, log=log)


def test_whole_export_arrives(running: Running):
    answer = running.client.get(f"/api/analyses/{running.analysis(frames=500)}/exports/jsonl")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert len(answer.text.splitlines()) == 500 * PER_FRAME


def test_slow_clients_keep_nobody_from_the_database(running: Running):
    """The pool has few connections, and a download may take an hour."""
    analysis = running.analysis()
    with ExitStack() as slow:
        for _ in range(settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"] + 1):
            slow.enter_context(running.begun(analysis))
        assert running.client.get("/api/analyses").status_code == 200


def test_client_that_goes_away_ends_its_export(running: Running):
    """Nobody pays for making what nobody reads."""
    analysis = running.analysis()
    with running.begun(analysis):
        pass
    wait_until(lambda: running.logged("export abandoned", analysis))


def test_failure_on_the_way_is_no_complete_file(running: Running):
    """A client that is given the last chunk takes what it has for everything."""
    analysis = running.analysis()
    with running.begun(analysis) as pieces:
        running.delete_detections(analysis)
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"):
            for _ in pieces:
                pass
    wait_until(lambda: running.logged("export broke off", analysis))
    assert running.client.get("/readyz").status_code == 200
