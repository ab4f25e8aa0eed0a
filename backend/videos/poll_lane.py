"""Polls by programs, answered where they arrive: their rows come over connections of the event loop, and no thread
has to be found, woken and waited for, which costs more than all else about a poll.

The view is the one that a thread would ask, with the rows at hand. What is more than a poll that nothing is to be
said against is left to a thread, as if nobody had looked at it before.
"""

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.db import Error, connections
from django.http import HttpResponse
from django.utils.module_loading import import_string
from psycopg.types.datetime import TimestamptzLoader

from backend.accounts.authentication import given_key
from backend.accounts.models import ApiKey
from backend.accounts.services import prefix_of
from backend.config.postgresql.base import has_spoken
from backend.config.threads import in_thread
from backend.live.streaming import Scope
from backend.videos.apis import AnalysisDetail
from backend.videos.models import Analysis
from backend.videos.quick_polls import LeftToThread
from backend.videos.selectors import POLLED_BY_KEY

logger = logging.getLogger(__name__)

CONNECTIONS = 4
MOST = 64  # polls that have a connection or wait for one; where the database is slow, threads answer the others
WAIT_SECONDS = 3.0  # for a connection, as of Django's own
AWAY_SECONDS = 1.0  # that no poll waits for a database which could not be reached

# Middlewares of browsers, pages and failures, which have nothing to say of JSON for a program with a key.
OF_OTHERS = frozenset(
    {
        "backend.config.middleware.HealthChecks",
        "backend.config.middleware.ContentSecurityPolicy",
        "backend.config.middleware.StaticFiles",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "backend.config.middleware.UnavailableServices",
    }
)

_VIEW = AnalysisDetail.as_view()
_POLL = re.compile(r"/api/analyses/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")

_Connection = psycopg.AsyncConnection[tuple[object, ...]]


class _StillAway(Exception):
    """Found out while a poll waited for a connection."""


class PollLane:
    """Answers in one event loop what it may; only what ends with 200 or 304."""

    def __init__(self) -> None:
        self._respond = _behind_middlewares(_polled)
        self._idle: list[_Connection] = []
        self._free = asyncio.Semaphore(CONNECTIONS)
        self._asking = 0
        self._away_until = 0.0  # time.monotonic()

    async def answer(self, scope: Scope) -> HttpResponse | None:
        """None where a thread is to answer."""
        asked = _POLL.fullmatch(scope["path"]) if scope["method"] == "GET" else None
        if asked is None:
            return None
        request = ASGIRequest(scope, BytesIO())
        prefix = prefix_of(given_key(request) or "")
        found = None if prefix is None else await self._found(prefix, UUID(asked[1]))
        if found is None:
            return None
        request.found = lambda *_: found
        try:
            response = self._respond(request)
        except SuspiciousOperation:  # a host that is none of ours
            return None
        except Exception:  # a fault of ours; Django tells of it where a thread meets it
            logger.exception("poll is left to a thread")
            return None
        return None if isinstance(response, LeftToThread) else response

    async def _found(self, prefix: str, analysis_id: UUID) -> tuple[ApiKey, Analysis] | None:
        if self._asking >= MOST or self._is_away():
            return None
        try:
            async with self._connection() as connection:
                query = POLLED_BY_KEY.compiled
                cursor = await connection.execute(query.sql, query.given((prefix, analysis_id)), prepare=True)
                row = await cursor.fetchone()
        except _StillAway:
            return None
        except (psycopg.Error, Error, OSError) as exc:
            # The thread finds out whether it is still so, and answers accordingly.
            logger.warning("poll is left to a thread", extra={"cause": type(exc).__name__})
            if isinstance(exc, psycopg.OperationalError | psycopg.InterfaceError | Error | OSError):
                self._away_until = time.monotonic() + AWAY_SECONDS
            return None
        return None if row is None else query.build(row)

    def _is_away(self) -> bool:
        return time.monotonic() < self._away_until

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[_Connection]:
        """Raises psycopg's errors, TimeoutError, and those of what is done with it; then it is closed."""
        self._asking += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
            try:
                if self._is_away():
                    raise _StillAway
                while self._idle and has_spoken(self._idle[-1]):  # its server has taken leave
                    await self._idle.pop().close()
                connection = self._idle.pop() if self._idle else await _connected()
                try:
                    yield connection
                except BaseException:
                    await connection.close()
                    raise
                self._idle.append(connection)
            finally:
                self._free.release()
        finally:
            self._asking -= 1


def _polled(request: Any) -> HttpResponse:
    return _VIEW(request, analysis_id=request.found()[1].pk)


def _behind_middlewares(answer: Callable[[ASGIRequest], HttpResponse]) -> Callable[[ASGIRequest], HttpResponse]:
    for name in reversed(settings.MIDDLEWARE):
        if name not in OF_OTHERS:
            answer = import_string(name)(answer)
    return answer


async def _connected() -> _Connection:
    """Raises psycopg's errors, and Django's of the database."""
    await in_thread(lambda: POLLED_BY_KEY.compiled)  # Django may ask the database before it has made the SQL
    params = connections["default"].get_connection_params()
    params.pop("cursor_factory")
    params["application_name"] = "framebatch polls"
    connection = await psycopg.AsyncConnection.connect(**params, autocommit=True)
    connection.adapters.register_loader("timestamptz", TimestamptzLoader)  # as of config.prepared
    try:
        # As Django does with its own: times come in the zone of the session, which is else that of the server.
        await connection.execute("SELECT set_config('TimeZone', %s, false)", ["UTC"])
    except BaseException:
        await connection.close()
        raise
    return connection
