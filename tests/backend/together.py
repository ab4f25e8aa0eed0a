"""Several requests at the same moment, each with a connection of its own."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connection
from django.db.models import Model


def at_once(times: int, ask: Callable[[], Any]) -> list[Any]:
    """What each of them gave."""
    answers: list[Any] = []
    start = threading.Barrier(times)

    def run() -> None:
        try:
            start.wait(timeout=60)
            answers.append(ask())
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(answers) == times
    return answers


@contextmanager
def meanwhile(act: Callable[[], Any], *, after: str) -> Iterator[list[Future[Any]]]:
    """Runs `act` beside what stands in the block, from its first statement on that has `after` in it.

    There the block waits until `act` has ended or waits itself for a row that the block has locked. The list then
    has what `act` will give or raise.
    """
    begun: list[Future[Any]] = []

    def run() -> Any:
        try:
            return act()
        finally:
            connection.close()

    def look(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        result = execute(sql, *arguments)
        if after in sql and not begun:
            begun.append(pool.submit(run))
            while not begun[0].done() and not _somebody_waits():
                time.sleep(0.01)
        return result

    with ThreadPoolExecutor(max_workers=1) as pool:
        with connection.execute_wrapper(look):
            yield begun
        assert begun, f"no statement has {after!r}"


@contextmanager
def removed_once_it_was_seen(model: type[Model]) -> Iterator[None]:
    """All rows go, and what refers to them, right after the first look at them."""
    gone: list[str] = []

    def look(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
        result = execute(sql, *arguments)
        if sql.startswith("SELECT") and f'FROM "{model._meta.db_table}"' in sql and not gone:
            gone.append(sql)
            model._default_manager.all().delete()
        return result

    with connection.execute_wrapper(look):
        yield
    assert gone


def _somebody_waits() -> bool:
    """For this transaction. The view of locks is read anew by each statement, the one of connections is not."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        )
        return cursor.fetchone() is not None
