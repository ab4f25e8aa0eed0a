"""What one process does with its streams, without a server: slow clients, signs of life, bounds."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine, MutableMapping
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from backend.live import hub as hub_module
from backend.live import streaming
from backend.live.errors import TooManyStreams
from backend.live.hub import MOST_PENDING, MOST_PER_OWNER, End, Hub, Message, Notice, NotListening, Subscription
from backend.live.reading import Position, Start, sse

OWNER = 7


class Database:
    """Notices that the test gives; it can go away."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[list[str] | Exception] = asyncio.Queue()
        self.connections = 0
        self.read: list[list[Notice]] = []

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[AsyncIterator[list[str]]]:
        self.connections += 1

        async def batches() -> AsyncIterator[list[str]]:
            while True:
                batch = await self.batches.get()
                if isinstance(batch, Exception):
                    raise batch
                yield batch

        yield batches()

    async def messages(self, notices: list[Notice]) -> list[Message]:
        self.read.append(notices)
        return [message(notice.analysis_id, event=notice.event_id) for notice in notices]

    def tell(self, *analyses: UUID, owner: int = OWNER, event: int | None = None) -> None:
        appended = {"event": event, "horizon": 1} if event else {}
        self.batches.put_nowait(
            [json.dumps({"analysis": str(analysis), "owner": owner, **appended}) for analysis in analyses]
        )


def message(analysis_id: UUID, *, event: int | None = None, text: bytes = b"x") -> Message:
    key = ("analysis", analysis_id) if event is None else ("event", event)
    return Message(analysis_id=analysis_id, owner_id=OWNER, key=key, data=text)


def played(scene: Callable[[Database, Hub], Coroutine[Any, Any, None]]) -> None:
    async def play() -> None:
        database = Database()
        hub = Hub(database.listen, database.messages)
        await hub.ensure_listening(seconds=60)
        try:
            await asyncio.wait_for(scene(database, hub), 60)
        finally:
            hub.close()

    asyncio.run(play())


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_one_reading_serves_all_who_listen_and_nobody_elses_analysis_is_read():
    async def scene(database: Database, hub: Hub) -> None:
        mine, foreign = uuid4(), uuid4()
        with (
            hub.subscription(owner_id=OWNER, analysis_id=mine) as one,
            hub.subscription(owner_id=OWNER, analysis_id=mine) as another,
            hub.subscription(owner_id=OWNER, analysis_id=None) as all_of_mine,
        ):
            database.tell(mine)
            database.tell(foreign, owner=8)
            await settled()
            assert [len(listener.take()) for listener in (one, another, all_of_mine)] == [1, 1, 1]
        database.tell(mine)
        await settled()
        assert [[notice.analysis_id for notice in notices] for notices in database.read] == [[mine]]

    played(scene)


def test_progress_that_was_not_taken_is_replaced_by_newer_and_events_are_not():
    async def scene(database: Database, hub: Hub) -> None:
        analysis = uuid4()
        with hub.subscription(owner_id=OWNER, analysis_id=analysis) as listener:
            for event in (1, 2, 3):
                database.tell(analysis, event=event)
                database.tell(analysis)
            await settled()
            assert [row.key for row in listener.take()] == [
                ("event", 1),
                ("event", 2),
                ("event", 3),
                ("analysis", analysis),
            ]

    played(scene)


def test_who_does_not_take_events_is_let_go_and_the_others_are_not():
    async def scene(database: Database, hub: Hub) -> None:
        analysis = uuid4()
        with (
            hub.subscription(owner_id=OWNER, analysis_id=analysis) as slow,
            hub.subscription(owner_id=OWNER, analysis_id=analysis) as quick,
        ):
            for event in range(1, MOST_PENDING + 2):
                database.tell(analysis, event=event)
                await settled()
                quick.take()
            assert (slow.end, quick.end) == (End.SLOW, None)
            assert len(slow.pending) <= MOST_PENDING + 1

    played(scene)


def test_all_are_let_go_when_the_connection_breaks_and_the_next_ones_are_served(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hub_module, "FIRST_PAUSE_SECONDS", 0.01)

    async def scene(database: Database, hub: Hub) -> None:
        analysis = uuid4()
        for broken in (psycopg.OperationalError("gone"), TimeoutError(), ValueError("strange")):
            with hub.subscription(owner_id=OWNER, analysis_id=analysis) as listener:
                database.batches.put_nowait(broken)
                await listener.ready.wait()
                assert listener.end is End.LOST
            await asyncio.sleep(0)
            await hub.ensure_listening(seconds=60)
        with hub.subscription(owner_id=OWNER, analysis_id=analysis) as listener:
            database.tell(analysis)
            await listener.ready.wait()
            assert listener.end is None
        assert database.connections == 4

    played(scene)


def test_nobody_listens_while_nothing_is_heard():
    """A stream that begins before the database is there would miss what is committed until then."""

    @contextlib.asynccontextmanager
    async def away() -> AsyncIterator[AsyncIterator[list[str]]]:
        raise psycopg.OperationalError("away")
        yield

    async def scene() -> None:
        hub = Hub(away, Database().messages)
        with pytest.raises(NotListening):
            await hub.ensure_listening(seconds=0.05)
        hub.close()
        with pytest.raises(NotListening):
            await hub.ensure_listening(seconds=0.05)

    asyncio.run(scene())


def test_streams_of_one_user_leave_room_for_others():
    async def scene(database: Database, hub: Hub) -> None:
        with contextlib.ExitStack() as held:
            for _ in range(MOST_PER_OWNER):
                held.enter_context(hub.subscription(owner_id=OWNER, analysis_id=uuid4()))
            with pytest.raises(TooManyStreams):
                held.enter_context(hub.subscription(owner_id=OWNER, analysis_id=None))
            held.enter_context(hub.subscription(owner_id=8, analysis_id=None))
        with hub.subscription(owner_id=OWNER, analysis_id=None):
            pass

    played(scene)


class Client:
    """The server's side of a connection."""

    def __init__(self, *, takes: int = 10**6) -> None:
        self.sent: list[bytes] = []
        self.ended = False
        self._takes = takes
        self.left = asyncio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if len(self.sent) >= self._takes:
            await asyncio.Event().wait()
        self.sent.append(message["body"])
        self.ended = not message["more_body"]


def start(*messages: Message, over: bool = False) -> Start:
    events = frozenset(row.key[1] for row in messages if row.key[0] == "event")
    return Start(messages=list(messages), events=events, over=over, missed_too_many=False)  # type: ignore[arg-type]


Scene = Callable[[Subscription, Client, asyncio.Task[None]], Coroutine[Any, Any, None]]


def streamed(scene: Scene, **client: Any) -> None:
    async def play() -> None:
        subscription, other = Subscription(), Client(**client)
        stream = streaming._Stream(subscription, start(message(uuid4(), event=1, text=b"<1>")), alone=True)
        running = asyncio.create_task(stream.run(other.receive, other.send))
        await settled()
        await asyncio.wait_for(scene(subscription, other, running), 60)
        await asyncio.wait_for(running, 60)

    asyncio.run(play())


def test_what_the_start_holds_is_not_sent_again():
    async def scene(subscription: Subscription, client: Client, running: asyncio.Task[None]) -> None:
        analysis = uuid4()
        subscription.put(message(analysis, event=1, text=b"<1>"))
        subscription.put(message(analysis, event=2, text=b"<2>"))
        await settled()
        assert b"".join(client.sent) == b"retry: 2000\n\n<1><2>"
        subscription.close(End.LOST)
        await settled()
        assert client.ended

    streamed(scene)


def test_a_quiet_stream_gives_signs_of_life(monkeypatch: pytest.MonkeyPatch):
    """Proxies close what is silent, and a client that has gone without a word is found out only by writing."""
    monkeypatch.setattr(streaming, "BEAT_SECONDS", 0.01)

    async def scene(subscription: Subscription, client: Client, running: asyncio.Task[None]) -> None:
        while client.sent.count(streaming.BEAT) < 3:
            await asyncio.sleep(0.01)
        client.left.set()

    streamed(scene)


def test_who_takes_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streaming, "SEND_SECONDS", 0.05)

    async def scene(subscription: Subscription, client: Client, running: asyncio.Task[None]) -> None:
        subscription.put(message(uuid4(), event=2))
        await running
        assert subscription.end is End.SLOW

    streamed(scene, takes=1)


def test_a_client_that_leaves_frees_its_stream_at_once():
    async def scene(subscription: Subscription, client: Client, running: asyncio.Task[None]) -> None:
        client.left.set()
        await running
        assert subscription.end is End.GONE

    streamed(scene)


def test_a_stream_ends_after_a_while_so_that_its_client_is_asked_again_who_it_is(monkeypatch: pytest.MonkeyPatch):
    """An API key may have been revoked since."""
    monkeypatch.setattr(streaming, "LONGEST_SECONDS", 0.05)
    monkeypatch.setattr(streaming, "BEAT_SECONDS", 0.02)

    async def scene(subscription: Subscription, client: Client, running: asyncio.Task[None]) -> None:
        await running
        assert client.ended
        assert subscription.end is None

    streamed(scene)


def test_an_events_data_is_one_line():
    """A line break of its own would end it."""
    text = sse(
        "analysis", {"error": "first\nsecond\r\nthird\u2028fourth"}, Position(event_id=1, horizon=2)
    ).decode()
    assert text.startswith("id: 1-2\nevent: analysis\ndata: {")
    assert text.count("\n") == 4
    assert "\r" not in text
