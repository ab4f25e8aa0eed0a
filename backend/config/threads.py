import asyncio
from collections.abc import Callable
from typing import TypeVar

from django.db import close_old_connections

_Result = TypeVar("_Result")


async def in_thread(work: Callable[[], _Result]) -> _Result:
    """Work with the database, beside the event loop; then its connection is back in the pool."""

    def releasing() -> _Result:
        try:
            return work()
        finally:
            close_old_connections()

    return await asyncio.to_thread(releasing)
