"""The database goes away, or its answers do, while results are stored."""

import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest

from batch_job.claim import Claim, Token
from batch_job.database import PATIENCE_SECONDS, Database
from batch_job.errors import ClaimLost, DatabaseUnavailable, Interrupted
from batch_job.store import Store
from tests.batch_job.job import analysis_row, result_rows
from tests.batch_job.stored import CHUNKS, REPORT, SUMMARY, taken
from tests.outage import Proxy


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """The way to the database, which can be cut."""
    address = urlsplit(database_url)
    assert address.hostname is not None
    assert address.port is not None
    with Proxy((address.hostname, address.port)) as proxy:
        yield proxy


def test_a_database_that_comes_back_has_lost_nothing(database_url: str, analysis_id: UUID, proxy: Proxy) -> None:
    """A restart of the server in the middle of an analysis."""
    database = Database(proxy.url_of(database_url), patience_seconds=120)
    _, store = taken(database, analysis_id)
    store.write_chunk(CHUNKS[0], frames_total=4)
    proxy.refuse()
    threading.Timer(1.0, proxy.restore).start()
    store.write_chunk(CHUNKS[1], frames_total=4)
    store.finish(summary=SUMMARY, report=REPORT, seconds={})
    database.close()
    assert analysis_row(database_url, analysis_id)["status"] == "succeeded"
    assert len(result_rows(database_url, analysis_id)["detections"]) == 6


def test_a_database_that_stays_away_is_given_up(database_url: str, analysis_id: UUID, proxy: Proxy) -> None:
    """So that AWS Batch can try again later, on a machine that costs nothing until then."""
    database = Database(proxy.url_of(database_url), patience_seconds=0.5)
    _, store = taken(database, analysis_id)
    proxy.refuse()
    with pytest.raises(DatabaseUnavailable):
        store.write_chunk(CHUNKS[0], frames_total=4)


def test_waiting_for_the_database_can_be_interrupted(database_url: str, analysis_id: UUID, proxy: Proxy) -> None:
    asked = threading.Event()

    def pause(seconds: float) -> None:
        if asked.wait(seconds):
            raise Interrupted

    database = Database(proxy.url_of(database_url), pause=pause)
    _, store = taken(database, analysis_id)
    proxy.refuse()
    threading.Timer(0.3, asked.set).start()
    started = time.monotonic()
    with pytest.raises(Interrupted):
        store.write_chunk(CHUNKS[0], frames_total=4)
    assert time.monotonic() - started < PATIENCE_SECONDS


def test_the_server_soon_misses_a_machine_that_has_vanished(database: Database) -> None:
    """Without a word: what it had locked would keep the next attempt waiting for hours."""

    def shown(connection: psycopg.Connection, _: bool) -> list[str]:
        names = ("idle", "interval", "count")
        return [connection.execute(f"SHOW tcp_keepalives_{name}".encode()).fetchone()[0] for name in names]  # type: ignore[index]

    assert database.transact(shown) == ["10", "5", "3"]


class LosesAnswers(Database):
    """Commits, and then loses the connection before it hears of it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._answered = False

    def transact(self, work):  # type: ignore[no-untyped-def]
        def once(connection: psycopg.Connection, repeated: bool):  # type: ignore[no-untyped-def]
            if repeated:
                return work(connection, True)
            with psycopg.connect(self._url) as other:
                work(other, False)
            raise psycopg.OperationalError("the answer was lost")

        return super().transact(once)


def test_lost_answers_change_nothing(database_url: str, analysis_id: UUID) -> None:
    """Every transaction may be repeated after it was committed: claim, chunk, end."""
    database = LosesAnswers(database_url)
    _, store = taken(database, analysis_id)
    for chunk in CHUNKS:
        store.write_chunk(chunk, frames_total=4)
    store.finish(summary=SUMMARY, report=REPORT, seconds={})
    database.close()
    row = analysis_row(database_url, analysis_id)
    assert row["status"] == "succeeded"
    assert row["events"] == [("running", "job"), ("succeeded", "job")]
    assert len(result_rows(database_url, analysis_id)["detections"]) == 6


# --- the jobs of an array, over a lost connection ---


class Repeating(Database):
    """Does every piece of work twice: the first time is `kept`, its answer lost, or rolled back."""

    kept = True

    def transact(self, work: Any) -> Any:
        def lost(connection: psycopg.Connection, repeated: bool) -> Any:
            work(connection, repeated)
            raise Forgotten

        if self.kept:
            super().transact(work)
        else:
            with pytest.raises(Forgotten):
                super().transact(lost)
        return super().transact(lambda connection, _: work(connection, True))


class Forgotten(Exception):
    """Rolls a transaction back."""


@pytest.mark.parametrize("kept", [True, False], ids=["its answer is lost", "it is rolled back"])
def test_who_takes_an_array_alone_has_it_however_often_that_is_tried(
    database_url: str, database: Database, analysis_id: UUID, kept: bool
) -> None:
    """Otherwise others' chunks would be gone, and nobody left who may write."""

    def member(index: int, on: Database) -> tuple[Claim, Store]:
        token = Token(analysis_id=analysis_id, job_id=f"array:{index}", attempt=1, together=True)
        claim = Claim(on, token)
        claim.take()
        return claim, Store(on, claim)

    _, other = member(1, database)
    assert other.made_from("one video")
    assert other.write_chunk(CHUNKS[1], frames_total=4) == 1
    repeating = Repeating(database_url)
    repeating.kept = kept
    claim, alone = member(0, repeating)
    assert not alone.made_from("another video")
    assert not claim.token.together
    assert alone.stored_chunks() == set()
    assert alone.write_chunk(CHUNKS[0], frames_total=4) == 1
    with pytest.raises(ClaimLost):
        other.write_chunk(CHUNKS[1], frames_total=4)
    row = analysis_row(database_url, analysis_id)
    assert (row["claim_job_id"], row["frames_done"], row["inputs"]) == ("array:0", 2, "another video")
    repeating.close()
