"""A client of server-sent events, small enough that a test can have hundreds of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 90.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    kind: str
    data: Any
    id: str | None


@dataclass(kw_only=True)
class Listener:
    reader: asyncio.StreamReader
    status: int
    headers: dict[str, str]
    last_id: str | None = None
    events: list[Event] = field(default_factory=list)

    async def next(self) -> Event | None:
        """The next event; None when the stream has ended."""
        kind, identity, data = "", None, []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                line = await self._line()
                if line is None:
                    return None
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "id":
                    identity = value
                elif name == "data":
                    data.append(value)
                elif not line and data:
                    self.last_id = identity or self.last_id
                    event = Event(kind=kind, data=json.loads("\n".join(data)), id=identity)
                    self.events.append(event)
                    return event

    async def until(self, found: Callable[[Event], bool]) -> Event:
        while (event := await self.next()) is not None:
            if found(event):
                return event
        raise AssertionError(f"the stream ended: {self.events}")

    async def rest(self) -> list[Event]:
        while await self.next() is not None:
            pass
        return self.events

    @property
    def transitions(self) -> list[Any]:
        return [event.data for event in self.events if event.kind == "transition"]

    async def _line(self) -> str | None:
        """One line of the body, which is chunked; every message is a chunk of whole lines."""
        while True:
            line = (await self.reader.readline()).decode()
            if not line:
                return None
            text = line.rstrip("\r\n")
            if line.endswith("\r\n"):  # of the chunks, not of the body: its lines end with \n alone
                if text == "0":
                    return None
                continue
            return text


@asynccontextmanager
async def listening(base_url: str, path: str, key: str, *, after: str | None = None) -> AsyncIterator[Listener]:
    parts = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        headers = {"Host": parts.netloc, "Authorization": f"Api-Key {key}", "Accept": "text/event-stream"}
        if after is not None:
            headers["Last-Event-ID"] = after
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            status = int((await reader.readline()).split()[1])
            answered: dict[str, str] = {}
            while line := (await reader.readline()).decode().strip():
                name, _, value = line.partition(": ")
                answered[name.lower()] = value
        yield Listener(reader=reader, status=status, headers=answered)
    finally:
        writer.close()
