"""Live events: streams that one web process holds, and what each costs; a part of `python -m bench.api`.

Against a local stack; the clients are connections of this process, each of which waits
for the events of an analysis of its own user.
"""

import asyncio
import hashlib
import secrets
import shutil
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psutil
import psycopg
import uvloop

from bench.lab import OUT, Row, say
from local.ports import HOST
from local.stack import Stack, StackSettings, running_stack

PER_USER = 20  # as many as a user may hold
STEPS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    key: str
    analysis: UUID


class Stream:
    """One client: it reads until it has seen what it was told to wait for."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, user: User) -> "Stream":
        """Raises RuntimeError where the server refuses it."""
        reader, writer = await asyncio.open_connection(HOST, port, limit=2**14)
        path = f"/api/analyses/{user.analysis}/live"
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Api-Key {user.key}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            raise RuntimeError(head.decode())
        stream = cls(reader, writer)
        await stream.until(b"event: analysis")
        return stream

    async def until(self, marker: bytes) -> float:
        """When the line came."""
        while True:
            line = await self._reader.readline()
            if not line:
                raise RuntimeError("the stream ended")
            if line.startswith(marker):
                return time.monotonic()

    def close(self) -> None:
        self._writer.close()


def streams_held(streams: int) -> list[Row]:
    """In a stack of its own; a process takes 5,000 at most."""
    folder = OUT / "live-stack"
    shutil.rmtree(folder, ignore_errors=True)
    with running_stack(StackSettings(folder=folder, port=0, web_processes=1), say=say) as stack:
        users = _users(stack, -(-streams // PER_USER))
        return uvloop.run(_measured(stack, users, streams))


async def _measured(stack: Stack, users: list[User], streams: int) -> list[Row]:
    port, started = stack.port, stack.services["web"].process
    assert started is not None
    server = psutil.Process(started.pid)
    warm = [await Stream.open(port, users[0]) for _ in range(5)]  # the first finds nothing loaded
    for stream in warm:
        stream.close()
    await asyncio.sleep(2)
    before = server.memory_info().rss
    say(f"opening {streams} streams, {server.num_threads()} threads in the server")
    held: list[Stream] = []
    began = time.monotonic()
    for step in range(STEPS):
        while len(held) < streams * (step + 1) // STEPS:
            some = range(len(held), min(len(held) + 10, streams * (step + 1) // STEPS))
            held += await asyncio.gather(*(Stream.open(port, users[number // PER_USER]) for number in some))
        say(f"{len(held)} held, {(server.memory_info().rss - before) / 2**20:.1f} MiB more")
    opening = time.monotonic() - began
    await asyncio.sleep(2)
    grown = server.memory_info().rss - before
    used = server.cpu_times()
    waiting = [asyncio.create_task(stream.until(b"event: transition")) for stream in held]
    told = await asyncio.to_thread(_append_to_all, stack.database_url)
    delays = sorted(came - told for came in await asyncio.gather(*waiting))
    spent = server.cpu_times()
    for stream in held:
        stream.close()
    busy = spent.user + spent.system - used.user - used.system
    return [
        Row(name="streams held by one process", value=len(held), unit=""),
        Row(name="memory of each in the server", value=round(grown / len(held) / 1024, 1), unit="KiB"),
        Row(name="threads of the server with all of them", value=server.num_threads(), unit=""),
        Row(name="streams opened in a second", value=round(len(held) / opening, 1), unit="/s"),
        Row(name="commit to client, an event for each at once, p50", value=_at(delays, 0.5), unit="ms"),
        Row(name="commit to client, an event for each at once, p99", value=_at(delays, 0.99), unit="ms"),
        Row(name="processor time of the server for it, each", value=round(1e6 * busy / len(held)), unit="us"),
    ]


def _at(delays: list[float], share: float) -> float:
    return round(1000 * delays[min(int(len(delays) * share), len(delays) - 1)], 1)


def _users(stack: Stack, count: int) -> list[User]:
    """Each with a key and a running analysis."""
    made = []
    with psycopg.connect(stack.database_url) as connection:
        for _ in range(count):
            user, video, analysis = _inserted(connection), uuid4(), uuid4()
            prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
            key = f"fb_{prefix}_{secret}"
            _run(
                connection,
                "INSERT INTO accounts_apikey (user_id, name, prefix, digest, scopes)"
                " VALUES (%s, 'bench', %s, %s, '{analyses:read}')",
                user,
                prefix,
                hashlib.sha256(key.encode()).hexdigest(),
            )
            _run(
                connection,
                "INSERT INTO videos_video (id, owner_id, filename, content_type, size_bytes, status)"
                " VALUES (%s, %s, 'a.mp4', 'video/mp4', 1, 'ready')",
                video,
                user,
            )
            _run(
                connection,
                "INSERT INTO videos_analysis (id, owner_id, video_id, model, class_names, options, status)"
                " VALUES (%s, %s, %s, 'shapes', '[]', '{}', 'running')",
                analysis,
                user,
                video,
            )
            made.append(User(key=key, analysis=analysis))
    return made


def _inserted(connection: psycopg.Connection) -> int:
    row = connection.execute(
        "INSERT INTO accounts_user (username, password, is_superuser, is_staff, is_active, first_name, last_name,"
        " email, date_joined, plan) VALUES (%s, '', false, false, true, '', '', '', now(), 'enterprise')"
        " RETURNING id",
        [uuid4().hex],
    ).fetchone()
    assert row is not None
    return int(row[0])


def _run(connection: psycopg.Connection, query: str, *values: Any) -> None:
    connection.execute(query, values)


def _append_to_all(database_url: str) -> float:
    """An event for each analysis, in one transaction; when that was committed."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO videos_analysisevent (analysis_id, at, status, source, detail)"
            " SELECT id, now(), 'running', 'job', '{}' FROM videos_analysis WHERE status = 'running'"
        )
    return time.monotonic()
