"""One process' listeners to live events: one connection to PostgreSQL for all of them.

A trigger says in a NOTIFY which analysis has changed and which event was appended; it arrives when the change is
committed, in the order of commits. Notices that arrive within a quarter of a second are read together, once for
all who listen, and each listener gets the bytes into a queue of its own.

A listener that does not take what it gets is let go, and so are all of them when the connection to PostgreSQL
breaks: they come again with the id of the last event that they have, and nothing is missing.
"""

import asyncio
import contextlib
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol
from uuid import UUID

from django.db import Error as DjangoDatabaseError
from psycopg import Error as DatabaseError

from backend.live.errors import TooManyStreams

logger = logging.getLogger(__name__)

GATHER_SECONDS = 0.25  # also the least time between two messages about the progress of one analysis
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
MOST_PENDING = 256
MOST_PER_OWNER = 20
MOST_STREAMS = 5000


class NotListening(Exception):
    """PostgreSQL cannot be reached, or this process ends."""


class End(Enum):
    GONE = auto()  # the client has closed the connection
    SLOW = auto()  # it does not take what it gets
    LOST = auto()  # the database, or this process, goes away


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """What a NOTIFY says: an analysis has changed, or an event was appended to it."""

    analysis_id: UUID
    owner_id: int
    event_id: int | None
    horizon: int | None  # every transaction before it had ended when the event was appended

    @classmethod
    def from_payload(cls, payload: str) -> "Notice":
        said = json.loads(payload)
        return cls(
            analysis_id=UUID(said["analysis"]),
            owner_id=said["owner"],
            event_id=said.get("event"),
            horizon=said.get("horizon"),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """Bytes for those who listen to an analysis. One with the key of another takes that one's place."""

    analysis_id: UUID
    owner_id: int
    key: tuple[str, object]
    data: bytes
    over: bool = False  # an event after which nothing will happen to the analysis any more


@dataclass(eq=False, kw_only=True, slots=True)
class Subscription:
    """What one client is still to be sent."""

    pending: dict[tuple[str, object], Message] = field(default_factory=dict)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    end: End | None = None

    def put(self, message: Message) -> None:
        self.pending.pop(message.key, None)  # the newer one comes last
        self.pending[message.key] = message
        if len(self.pending) > MOST_PENDING:
            self.close(End.SLOW)
        self.ready.set()

    def take(self) -> list[Message]:
        messages = list(self.pending.values())
        self.pending.clear()
        self.ready.clear()
        return messages

    def close(self, end: End) -> None:
        self.end = self.end or end
        self.ready.set()


class Reader(Protocol):
    def __call__(self, notices: list[Notice]) -> Awaitable[list[Message]]: ...


Listen = Callable[[], contextlib.AbstractAsyncContextManager[AsyncIterator[list[str]]]]


class Hub:
    """All methods are called in the event loop of the process."""

    def __init__(self, listen: Listen, read: Reader) -> None:
        """`listen` connects and gives the payloads of notices in batches; it raises what psycopg does."""
        self._listen = listen
        self._read = read
        self._by_topic: dict[UUID | int, set[Subscription]] = {}  # of an analysis, or of an owner
        self._of_owner: Counter[int] = Counter()
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def ensure_listening(self, *, seconds: float) -> None:
        """From now on every commit is heard. Raises NotListening."""
        if self._closed:
            raise NotListening
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(seconds):
                await self._listening.wait()
        except TimeoutError:
            raise NotListening from None

    @contextlib.contextmanager
    def subscription(self, *, owner_id: int, analysis_id: UUID | None) -> Iterator[Subscription]:
        """Without an analysis it is of all of the owner's. Raises TooManyStreams."""
        if self._of_owner[owner_id] >= MOST_PER_OWNER or self._of_owner.total() >= MOST_STREAMS:
            raise TooManyStreams
        topic = owner_id if analysis_id is None else analysis_id
        subscription = Subscription()
        self._of_owner[owner_id] += 1
        self._by_topic.setdefault(topic, set()).add(subscription)
        try:
            yield subscription
        finally:
            self._by_topic[topic].discard(subscription)
            if not self._by_topic[topic]:
                del self._by_topic[topic]
            self._of_owner -= Counter([owner_id])  # which forgets owners that have none left

    def close(self) -> None:
        """The process ends: every stream does, and its client comes again elsewhere."""
        self._closed = True
        self._drop_all()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._listen() as batches:
                    self._listening.set()
                    pause = FIRST_PAUSE_SECONDS
                    async for payloads in batches:
                        await self._publish(payloads)
            except (DatabaseError, DjangoDatabaseError, OSError, TimeoutError) as exc:
                logger.warning("live events wait for the database", extra={"cause": str(exc), "seconds": pause})
            except Exception:  # one strange notice must not end live events until the process is started anew
                logger.exception("live events broke off", extra={"seconds": pause})
            finally:
                self._listening.clear()
                self._drop_all()
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _publish(self, payloads: list[str]) -> None:
        notices = [Notice.from_payload(payload) for payload in payloads]
        heard = [notice for notice in notices if self._listeners(notice.analysis_id, notice.owner_id)]
        if not heard:
            return
        for message in await self._read(heard):
            for subscription in self._listeners(message.analysis_id, message.owner_id):
                subscription.put(message)

    def _listeners(self, analysis_id: UUID, owner_id: int) -> list[Subscription]:
        return [*self._by_topic.get(analysis_id, ()), *self._by_topic.get(owner_id, ())]

    def _drop_all(self) -> None:
        for subscriptions in self._by_topic.values():
            for subscription in subscriptions:
                subscription.close(End.LOST)
