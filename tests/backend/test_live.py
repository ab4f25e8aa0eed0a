"""Live events from a real server: nothing is lost, and nobody hears what is not theirs."""

import asyncio
import json
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import psycopg
import pytest

from backend.live.hub import MOST_PER_OWNER
from tests.backend.listening import PATIENCE_SECONDS, Event, listening
from tests.backend.serving import Database, process, serving, wait_until
from tests.outage import Proxy

pytestmark = pytest.mark.integration


class Live(Database):
    """As the job writes: SQL of its own, one transaction for the status and its event."""

    def owned(self, key: str) -> UUID:
        analysis = self.analysis()
        self.run(
            "UPDATE videos_analysis SET owner_id ="
            " (SELECT user_id FROM accounts_apikey WHERE prefix = %s) WHERE id = %s",
            key.split("_")[1],
            analysis,
        )
        return analysis

    def run(self, query: str, *values: object) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(query, values)

    def become(self, analysis: UUID, status: str, *, note: Any = None) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute("UPDATE videos_analysis SET status = %s WHERE id = %s", [status, analysis])
            append(connection, analysis, status, note)

    def progress(self, analysis: UUID, done: int, total: int = 1000) -> None:
        self.run(
            "UPDATE videos_analysis SET frames_done = %s, frames_total = %s WHERE id = %s", done, total, analysis
        )


def append(connection: psycopg.Connection, analysis: UUID, status: str, note: Any = None) -> None:
    connection.execute(
        "INSERT INTO videos_analysisevent (analysis_id, at, status, source, detail)"
        " VALUES (%s, clock_timestamp(), %s, 'job', %s)",
        [analysis, status, json.dumps({"note": note})],
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    url: str
    database: Live
    key: str

    def watch(self, analysis: UUID | None, *, after: str | None = None, key: str | None = None) -> Any:
        path = "/api/analyses/live" if analysis is None else f"/api/analyses/{analysis}/live"
        return listening(self.url, path, key or self.key, after=after)


@pytest.fixture(scope="module")
def running(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Live]]:
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(log, DATABASE_URL=module_database_url) as client:
        yield str(client.base_url), Live(module_database_url)
    assert "Traceback" not in log.read_text()


@pytest.fixture
def server(running: tuple[str, Live]) -> Server:
    """With a user of this test alone."""
    url, database = running
    return Server(url=url, database=database, key=database.api_key())


def is_state(status: str) -> Callable[[Event], bool]:
    return lambda event: event.kind == "analysis" and event.data["status"] == status


def test_a_stream_tells_how_it_stands_and_what_happens_until_it_is_over(server: Server):
    analysis = server.database.owned(server.key)

    async def scene() -> None:
        async with server.watch(analysis) as listener:
            assert listener.status == 200
            assert listener.headers["content-type"] == "text/event-stream"
            assert listener.headers["cache-control"] == "no-store"
            assert "x-framebatch-live" not in listener.headers
            first = await listener.next()
            assert first is not None
            assert (first.kind, first.data["status"], first.data["id"]) == ("analysis", "queued", str(analysis))
            await asyncio.to_thread(server.database.become, analysis, "running", note="begun")
            moved = await listener.next()
            assert moved is not None
            assert (moved.kind, moved.data["status"], moved.data["detail"]) == (
                "transition",
                "running",
                {"note": "begun"},
            )
            await listener.until(is_state("running"))
            await asyncio.to_thread(server.database.progress, analysis, 250)
            state = await listener.until(lambda event: event.kind == "analysis" and event.data["frames_done"] > 0)
            assert (state.data["frames_done"], state.data["progress"], state.id) == (250, 0.25, None)
            await asyncio.to_thread(server.database.become, analysis, "succeeded")
            kinds = [event.kind for event in (await listener.rest())[-3:]]
            assert kinds == ["transition", "analysis", "over"]
            assert listener.events[-2].data["status"] == "succeeded"

    asyncio.run(scene())


def test_what_is_over_says_so_at_once_and_asks_browsers_not_to_come_again(server: Server):
    analysis = server.database.owned(server.key)

    async def scene() -> None:
        async with server.watch(analysis) as listener:
            await listener.next()
            await asyncio.to_thread(server.database.become, analysis, "running")
            begun = await listener.until(lambda event: event.kind == "transition")
            await asyncio.to_thread(server.database.become, analysis, "failed")
            await listener.rest()
        async with server.watch(analysis) as listener:
            assert [event.kind for event in await listener.rest()] == ["analysis", "over"]
        async with server.watch(analysis, after=begun.id) as listener:
            assert [event.kind for event in await listener.rest()] == ["transition", "analysis", "over"]
            last = listener.last_id
        async with server.watch(analysis, after=last) as listener:
            assert listener.status == 204

    asyncio.run(scene())


@pytest.mark.parametrize("alone", [True, False], ids=["one analysis", "all of a user"])
def test_nothing_is_lost_over_broken_connections(server: Server, alone: bool):
    """Events are written all the time; the client leaves at any moment and comes again with its last id."""
    chance = random.Random(alone)
    analyses = [server.database.owned(server.key) for _ in range(1 if alone else 3)]
    appended = 60

    def write() -> None:
        with psycopg.connect(server.database.url, autocommit=True) as connection:
            for number in range(appended):
                append(connection, analyses[number % len(analyses)], "running", number)
                time.sleep(chance.random() * 0.05)

    async def scene() -> list[int]:
        seen: dict[int, int] = {}
        last: str | None = None
        async with server.watch(analyses[0] if alone else None) as listener:
            await listener.next()
            writing = asyncio.create_task(asyncio.to_thread(write))
            await listener.until(lambda event: event.kind == "transition")
            last = listener.last_id
            seen.update({row["id"]: row["detail"]["note"] for row in listener.transitions})
        while len(seen) < appended:
            async with server.watch(analyses[0] if alone else None, after=last) as listener:
                patience = chance.random() * 0.6 if not writing.done() else PATIENCE_SECONDS
                try:
                    async with asyncio.timeout(patience):
                        while len(seen) < appended:
                            await listener.until(lambda event: event.kind == "transition")
                            seen.update({row["id"]: row["detail"]["note"] for row in listener.transitions})
                except TimeoutError:
                    assert not writing.done() or patience < PATIENCE_SECONDS, f"only {sorted(seen.values())}"
                last = listener.last_id or last
        await writing
        return [seen[identity] for identity in sorted(seen)]

    assert asyncio.run(scene()) == list(range(appended))


def test_an_event_that_is_committed_late_is_not_missed(server: Server):
    """Its id is lower than that of one which the client has already."""
    early, late = (server.database.owned(server.key) for _ in range(2))

    async def scene() -> None:
        with psycopg.connect(server.database.url) as slow:
            async with server.watch(None) as listener:
                await listener.next()
                append(slow, late, "running", "late")
                await asyncio.to_thread(server.database.become, early, "running", note="early")
                await listener.until(lambda event: event.kind == "transition")
                assert [row["detail"]["note"] for row in listener.transitions] == ["early"]
                last = listener.last_id
        # The connection to the client is gone when it is committed.
        async with server.watch(None, after=last) as listener:
            missed = await listener.until(lambda event: event.kind == "transition")
            assert missed.data["detail"]["note"] == "late"

    asyncio.run(scene())


def test_a_users_stream_tells_of_all_analyses_and_of_nobody_elses(server: Server):
    stranger = server.database.api_key()
    mine, foreign = server.database.owned(server.key), server.database.owned(stranger)

    async def scene() -> None:
        async with server.watch(None) as listener, server.watch(foreign) as refused:
            assert refused.status == 404
            first = await listener.next()
            assert first is not None
            assert first.data["id"] == str(mine)
            await asyncio.to_thread(server.database.become, foreign, "running")
            new = await asyncio.to_thread(server.database.owned, server.key)
            await asyncio.to_thread(server.database.become, new, "failed")
            await asyncio.to_thread(server.database.become, mine, "running")
            await listener.until(lambda event: event.kind == "transition" and event.data["analysis"] == str(mine))
            assert {event.data.get("analysis", event.data.get("id")) for event in listener.events} == {
                str(mine),
                str(new),
            }
        async with server.watch(foreign, after="1-1") as refused:
            assert refused.status == 404
        async with server.watch(None, after="0-0", key=stranger) as theirs:
            await theirs.until(lambda event: event.kind == "transition")
            assert {row["analysis"] for row in theirs.transitions} == {str(foreign)}

    asyncio.run(scene())


def test_hundreds_listen_to_one_process(server: Server):
    """Each gets its own analysis' event, and only that."""
    users, each = 20, 15
    keys = [server.database.api_key() for _ in range(users)]
    analyses = [server.database.owned(key) for key in keys]

    async def scene() -> None:
        async with AsyncExitStack() as stack:
            listeners = []
            for key, analysis in zip(keys, analyses, strict=True):
                opening = [stack.enter_async_context(server.watch(analysis, key=key)) for _ in range(each)]
                listeners += await asyncio.gather(*opening)
            assert {listener.status for listener in listeners} == {200}
            await asyncio.gather(*(listener.next() for listener in listeners))
            for analysis in analyses:
                await asyncio.to_thread(server.database.become, analysis, "succeeded")
            told = await asyncio.gather(*(listener.rest() for listener in listeners))
            for number, events in enumerate(told):
                assert [event.kind for event in events] == ["analysis", "transition", "analysis", "over"]
                assert events[1].data["analysis"] == str(analyses[number // each])

    asyncio.run(scene())
    held = server.database.fetch(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE application_name = 'framebatch live' AND datname = current_database()"
    )
    assert held == 1


def test_a_user_holds_only_so_many_streams(server: Server):
    analysis = server.database.owned(server.key)
    other = server.database.api_key()

    async def scene() -> None:
        async with AsyncExitStack() as stack:
            for _ in range(MOST_PER_OWNER):
                listener = await stack.enter_async_context(server.watch(analysis))
                await listener.next()
            async with server.watch(None) as refused:
                assert refused.status == 429
                assert refused.headers["content-type"] == "application/problem+json"
                assert int(refused.headers["retry-after"]) > 0
            async with server.watch(None, key=other) as allowed:
                assert allowed.status == 200
        # Whoever leaves makes room.
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                async with server.watch(analysis) as again:
                    if again.status == 200:
                        return
                await asyncio.sleep(0.05)

    asyncio.run(scene())


@pytest.mark.parametrize("given", ["x", "1", "-1", "1-x", "1-" + "9" * 30])
def test_an_id_that_was_never_given_is_refused(server: Server, given: str):
    analysis = server.database.owned(server.key)
    answer = httpx.get(
        f"{server.url}/api/analyses/{analysis}/live",
        headers={"Authorization": f"Api-Key {server.key}", "Last-Event-ID": given},
        timeout=90,
    )
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["Last-Event-ID"]


def test_streams_end_when_the_database_goes_away_and_go_on_afterwards(module_database_url: str, tmp_path: Path):
    parts = urlsplit(module_database_url)
    database = Live(module_database_url)
    key = database.api_key()
    analysis = database.owned(key)

    async def scene(url: str, proxy: Proxy) -> None:
        server = Server(url=url, database=database, key=key)
        async with server.watch(analysis) as listener:
            await listener.next()
            await asyncio.to_thread(database.become, analysis, "running", note="before")
            await listener.until(lambda event: event.kind == "transition")
            await asyncio.to_thread(proxy.refuse)
            await listener.rest()
            assert listener.events[-1].kind != "over"
        async with server.watch(analysis, after=listener.last_id) as refused:
            assert refused.status == 503
        database.become(analysis, "succeeded", note="meanwhile")
        proxy.restore()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                async with server.watch(analysis, after=listener.last_id) as again:
                    if again.status == 200:
                        await again.rest()
                        assert [row["detail"]["note"] for row in again.transitions] == ["meanwhile"]
                        assert again.events[-1].kind == "over"
                        return
                await asyncio.sleep(0.1)

    with (
        Proxy((str(parts.hostname), int(parts.port or 0))) as proxy,
        serving(tmp_path / "log", DATABASE_URL=proxy.url_of(module_database_url)) as client,
    ):
        asyncio.run(scene(str(client.base_url), proxy))


def test_server_stops_when_told_although_somebody_listens(module_database_url: str, tmp_path: Path):
    """It would otherwise wait for the end of every stream, and be killed with other requests under way."""
    database = Live(module_database_url)
    key = database.api_key()
    analysis = database.owned(key)
    log = tmp_path / "log"

    async def scene(running: subprocess.Popen[bytes]) -> None:
        url = log.read_text().split("Uvicorn running on ")[1].split()[0]
        async with Server(url=url, database=database, key=key).watch(analysis) as listener:
            await listener.next()
            running.send_signal(signal.SIGTERM)
            assert [event.kind for event in await listener.rest()] == ["analysis"]
            await asyncio.to_thread(running.wait, 60)

    server = ["-m", "uvicorn", "backend.config.asgi:application", "--host", "127.0.0.1", "--port", "0"]
    with process(log, *server, DATABASE_URL=module_database_url) as running:
        wait_until(lambda: "Uvicorn running on " in log.read_text())
        asyncio.run(scene(running))
    assert "Traceback" not in log.read_text()
