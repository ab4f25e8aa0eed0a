"""Rows that somebody else holds for longer than a statement waits for them."""

from django.db import Error

_LOCK_NOT_AVAILABLE = "55P03"


def is_held(exc: Error) -> bool:
    """PostgreSQL is there, and has given up waiting for a lock: a job stores the results of a long video, say."""
    return getattr(exc.__cause__, "sqlstate", None) == _LOCK_NOT_AVAILABLE
