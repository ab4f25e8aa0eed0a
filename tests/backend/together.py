"""Several requests at the same moment, each with a connection of its own."""

import threading
from collections.abc import Callable
from typing import Any

from django.db import connection


def at_once(times: int, ask: Callable[[], Any]) -> list[Any]:
    """What each of them gave."""
    answers: list[Any] = []
    start = threading.Barrier(times)

    def run() -> None:
        try:
            start.wait(timeout=30)
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
