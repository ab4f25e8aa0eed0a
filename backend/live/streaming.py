"""Server-sent events, in front of Django.

A view says who may listen to what, after authentication, scopes, throttling and all else that views have, and
answers with a header that only this module reads. Then Django's work is done, its thread and all that a request
holds are free again, and the stream costs a coroutine: thousands of them fit into a process.
"""

import asyncio
import contextlib
import json
import random
import signal
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any, Self
from uuid import UUID

from django.db import InterfaceError, OperationalError
from django.http import HttpResponse

from backend.live.errors import TooManyStreams
from backend.live.hub import End, Hub, Message, NotListening, Subscription
from backend.live.listening import listening
from backend.live.reading import Position, Start, read_notices, read_start, sse
from backend.videos.problems import problem, unavailable

HEADER = "X-Framebatch-Live"
CONTENT_TYPE = "text/event-stream"
RETRY_MILLISECONDS = 2000
BEAT_SECONDS = 15.0
SEND_SECONDS = 20.0  # that a client may let us wait
LISTEN_SECONDS = 3.0
# Then the client comes again, and is asked anew who it is: a key may have been revoked.
LONGEST_SECONDS = 900.0
BEAT = b": still here\n\n"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What a view lets a client listen to."""

    owner_id: int
    analysis_id: str | None
    after: str | None

    def response(self) -> HttpResponse:
        """Where nothing streams, the client is told so by an empty stream, and polls."""
        headers = {HEADER: json.dumps(asdict(self)), "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return HttpResponse(b"", content_type=CONTENT_TYPE, headers=headers)

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[bytes, bytes]]) -> Self | None:
        for name, value in headers:
            if name.lower() == HEADER.lower().encode():
                return cls(**json.loads(value))
        return None


class LiveStreams:
    """An ASGI application that answers with Django's answers, or with the stream that one of them allows."""

    def __init__(self, django: Application) -> None:
        self._django = django
        self._made: Hub | None = None

    @property
    def hub(self) -> Hub:
        if self._made is None:  # in the event loop that it works in
            self._made = Hub(listening, read_notices)
        return self._made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        allowed: list[tuple[Wanted, list[tuple[bytes, bytes]]]] = []

        async def pass_on(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start" and scope["method"] == "GET":
                wanted = Wanted.from_headers(message["headers"])
                if wanted is not None:
                    allowed.append((wanted, list(message["headers"])))
            if not allowed:
                await send(message)

        await self._django(scope, receive, pass_on)
        for wanted, headers in allowed:
            await self._answer(wanted, headers, receive, send)

    async def _answer(
        self, wanted: Wanted, headers: list[tuple[bytes, bytes]], receive: Receive, send: Send
    ) -> None:
        of_one = UUID(wanted.analysis_id) if wanted.analysis_id else None
        after = Position.from_text(wanted.after) if wanted.after else None
        try:
            await self.hub.ensure_listening(seconds=LISTEN_SECONDS)
            # First the subscription, then what has happened before: nothing can fall in between.
            with self.hub.subscription(owner_id=wanted.owner_id, analysis_id=of_one) as subscription:
                start = await read_start(owner_id=wanted.owner_id, analysis_id=of_one, after=after)
                kept = [(name, value) for name, value in headers if name.lower() not in _NOT_OF_STREAMS]
                await send({"type": "http.response.start", "status": 200, "headers": kept})
                await _Stream(subscription, start, alone=of_one is not None).run(receive, send)
        except TooManyStreams as exc:
            later = {"Retry-After": str(int(BEAT_SECONDS))}
            await send_whole(problem(exc.status, code=exc.code, detail=exc.sentence, headers=later), send)
        except (NotListening, OperationalError, InterfaceError) as exc:
            cause = exc if isinstance(exc, OperationalError | InterfaceError) else OperationalError(str(exc))
            await send_whole(unavailable(cause) or HttpResponse(status=503), send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """The server waits for every answer before it ends, so streams have to be told of the signal itself."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._end_when_told()
                await send({"type": "lifespan.startup.complete"})
            else:
                self.hub.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _end_when_told(self) -> None:
        loop, hub = asyncio.get_running_loop(), self.hub

        def chained(number: signal.Signals) -> None:
            before = signal.getsignal(number)

            def told(signum: int, frame: Any) -> None:
                loop.call_soon_threadsafe(hub.close)
                if callable(before):
                    before(signum, frame)

            signal.signal(number, told)

        with contextlib.suppress(ValueError):  # not in the main thread: then signals are none of ours
            for number in (signal.SIGTERM, signal.SIGINT):
                chained(number)


_NOT_OF_STREAMS = frozenset({b"content-length", HEADER.lower().encode()})


class _Stream:
    """One client's."""

    def __init__(self, subscription: Subscription, start: Start, *, alone: bool) -> None:
        self._subscription = subscription
        self._start = start
        self._alone = alone  # of one analysis: it ends with that
        self._until = asyncio.get_running_loop().time() + LONGEST_SECONDS * random.uniform(0.8, 1)

    async def run(self, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(_gone(receive, self._subscription))
        try:
            async with asyncio.timeout(None) as patience:
                await self._send_all(send, patience)
        except TimeoutError:
            self._subscription.close(End.SLOW)  # and with no last word, which it would not take either
        finally:
            leaving.cancel()

    async def _send_all(self, send: Send, patience: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()

        async def sent(data: bytes, *, more: bool = True) -> None:
            patience.reschedule(loop.time() + SEND_SECONDS)
            await send({"type": "http.response.body", "body": data, "more_body": more})
            patience.reschedule(None)

        first = f"retry: {RETRY_MILLISECONDS}\n\n".encode()
        if self._start.missed_too_many:
            first += sse("reset", {})
        await sent(first + b"".join(message.data for message in self._start.messages))
        over = self._start.over
        while not over and self._subscription.end is None and loop.time() < self._until:
            if not await self._anything():
                await sent(BEAT)
                continue
            messages = [message for message in self._subscription.take() if not self._known(message)]
            over = self._is_over(messages)
            if messages and self._subscription.end is not End.GONE:
                await sent(b"".join(message.data for message in messages))
        if self._subscription.end is not End.GONE:
            await sent(sse("over", {}) if over else b"", more=False)

    async def _anything(self) -> bool:
        """Has something come before it is time for a sign of life?"""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                await self._subscription.ready.wait()
        return self._subscription.ready.is_set()

    def _known(self, message: Message) -> bool:
        return message.key[0] == "event" and message.key[1] in self._start.events

    def _is_over(self, messages: list[Message]) -> bool:
        return self._alone and any(message.over for message in messages)


async def _gone(receive: Receive, subscription: Subscription) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    subscription.close(End.GONE)


async def send_whole(response: HttpResponse, send: Send) -> None:
    headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in response.items()]
    headers += [(b"Set-Cookie", cookie.OutputString().encode("ascii")) for cookie in response.cookies.values()]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})
