"""A small HTTP load generator. What it costs is taken from the server on the same cores, so it parses no more of
an answer than its status and length (a client such as httpx costs more than the request that it measures).

The open loop sends at fixed times whatever the server does, and an answer's time counts from when its request
should have been sent: a server that stalls is not let off the requests that queue up behind it.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

SETTLE_SECONDS = 0.5


@dataclass(slots=True)
class Answers:
    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    def add(self, status: int, seconds: float) -> None:
        self.seconds.append(seconds)
        self.statuses[status] = self.statuses.get(status, 0) + 1

    def quantile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Connection:
    """One kept-alive connection; answers need a Content-Length."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> int:
        """The answer's status."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        at = head.lower().find(b"content-length:")
        if at >= 0:
            await self._reader.readexactly(int(head[at + 15 : head.index(b"\r\n", at)]))
        return int(head[9:12])

    def close(self) -> None:
        self._writer.close()


def request(method: str, path: str, *, key: str = "", body: bytes = b"", headers: str = "") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    if key:
        lines.append(f"Authorization: Api-Key {key}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n" + headers.encode() + b"\r\n" + body


async def open_loop(port: int, requests: Iterator[bytes], *, rate: float, seconds: float, users: int) -> Answers:
    """`users` connections, each with one request at a time. The clock starts a moment after all of them stand:
    what it takes to open hundreds at once, here and in the server, is no part of a request's time.
    """
    answers, idle = Answers(), asyncio.Queue[Connection]()
    for _ in range(users):
        idle.put_nowait(await Connection.open(port))
    began = time.perf_counter() + SETTLE_SECONDS

    async def ask(due: float) -> None:
        connection = await idle.get()
        answers.add(await connection.ask(next(requests)), time.perf_counter() - due)
        idle.put_nowait(connection)

    async with asyncio.TaskGroup() as asking:
        for number in range(int(rate * seconds)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asking.create_task(ask(due))
    while not idle.empty():
        idle.get_nowait().close()
    return answers


async def closed_loop(port: int, make: Callable[[int], bytes], *, seconds: float, users: int) -> float:
    """Answers in a second while every user asks again as soon as it has one. Raises RuntimeError for a refusal."""
    done = 0
    ends = time.perf_counter() + seconds

    async def user(number: int) -> None:
        nonlocal done
        connection = await Connection.open(port)
        asked = make(number)
        while time.perf_counter() < ends:
            if (status := await connection.ask(asked)) != 200:
                raise RuntimeError(f"answered {status}")
            done += 1
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(user(number) for number in range(users)))
    return done / (time.perf_counter() - began)


def around(requests: list[bytes]) -> Iterator[bytes]:
    return itertools.cycle(requests)
