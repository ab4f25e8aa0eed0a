"""What PostgreSQL tells those who listen, of which live events are made."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tests.backend.listening import PATIENCE_SECONDS
from tests.backend.serving import Database

pytestmark = pytest.mark.integration


@contextmanager
def heard(url: str) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Gives what has been told until it is asked."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("LISTEN framebatch_live")

        def told() -> list[dict[str, Any]]:
            with psycopg.connect(url, autocommit=True) as other:
                other.execute("NOTIFY framebatch_live, 'the last'")  # they come in the order of their commits
            heard = []
            for notify in connection.notifies(timeout=PATIENCE_SECONDS):
                if notify.payload == "the last":
                    return heard
                heard.append(json.loads(notify.payload))
            raise AssertionError(f"the last is missing after {heard}")

        yield told


def test_progress_is_told_a_hundred_times_at_most(module_database_url: str):
    """A long video has thousands of chunks."""
    analysis = Database(module_database_url).analysis()
    with heard(module_database_url) as notices:
        with psycopg.connect(module_database_url, autocommit=True) as connection:
            for done in range(0, 5001, 5):
                connection.execute(
                    "UPDATE videos_analysis SET frames_done = %s, frames_total = 5000 WHERE id = %s",
                    [done, analysis],
                )
        told = notices()
    assert 90 <= len(told) <= 102
    assert {notice["analysis"] for notice in told} == {str(analysis)}


def test_nothing_is_told_of_what_is_taken_back(module_database_url: str):
    analysis = Database(module_database_url).analysis()
    with heard(module_database_url) as notices, psycopg.connect(module_database_url) as connection:
        connection.execute(
            "INSERT INTO videos_analysisevent (analysis_id, at, status, source)"
            " VALUES (%s, clock_timestamp(), 'running', 'job')",
            [analysis],
        )
        connection.rollback()
        assert notices() == []
