"""The connection to PostgreSQL on which a process hears of every commit that changes an analysis."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg
from django.db import connections

from backend.live.hub import GATHER_SECONDS

CHANNEL = "framebatch_live"  # as the triggers of migration 0016 name it
CHECK_SECONDS = 10.0  # a connection that nothing comes through may be dead, and does not tell
ANSWER_SECONDS = 5.0


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[AsyncIterator[list[str]]]:
    """Payloads in the order of commits, in batches. Raises psycopg's errors and TimeoutError."""
    params = connections["default"].get_connection_params()
    for of_django in ("cursor_factory", "context", "prepare_threshold"):
        params.pop(of_django, None)
    params["application_name"] = "framebatch live"
    async with await psycopg.AsyncConnection.connect(**params, autocommit=True) as connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        yield _batches(connection)


async def _batches(connection: psycopg.AsyncConnection) -> AsyncIterator[list[str]]:
    while True:
        first = [notify.payload async for notify in connection.notifies(timeout=CHECK_SECONDS, stop_after=1)]
        if not first:
            async with asyncio.timeout(ANSWER_SECONDS):
                await connection.execute("SELECT 1")
            continue
        # Those that come now, so that one reading serves them all.
        await asyncio.sleep(GATHER_SECONDS)
        yield [*first, *[notify.payload async for notify in connection.notifies(timeout=0)]]
