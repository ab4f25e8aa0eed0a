"""Dying after any single step without a process to kill: as `dying` counts, and as often as a test likes.

After its last step nothing that is counted is done any more, also not by `finally`; and PostgreSQL takes back what
was not committed, as when a connection breaks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import botocore.client
import psycopg
import pytest
from django.db import connection

STEPS = (
    (psycopg.Cursor, "execute"),
    (psycopg.Connection, "commit"),
    (botocore.client.BaseClient, "_make_api_call"),
)


class Died(BaseException):
    """Nobody in the product may catch it."""


@dataclass(slots=True)
class Life:
    left: int
    dead: bool = False

    def counted(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                raise Died
            result = original(*args, **kwargs)
            self.left -= 1
            if not self.left:
                self.dead = True
                raise Died
            return result

        return step


@contextmanager
def life_of(steps: int, *others: tuple[type, str]) -> Iterator[Life]:
    """`others` are calls that stand for those to AWS. Whoever ends earlier has lived: `dead` is False."""
    life = Life(steps)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (*STEPS, *others):
            patch.setattr(owner, name, life.counted(getattr(owner, name)))
        with suppress(Died):
            yield life
    if life.dead:
        connection.close()
