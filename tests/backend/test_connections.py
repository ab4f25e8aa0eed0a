"""A pooled connection that the server has closed serves nobody; one that lives is not asked whether it does."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, NotSupportedError, connection, transaction

from backend.accounts.models import User
from backend.config import prepared
from backend.config.postgresql import base
from tests.backend.serving import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

MOMENT = datetime(2026, 2, 3, 4, 5, 6, 789_000, tzinfo=UTC)


def backend_pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_connection_that_the_server_closed_is_replaced(database_url: str):
    pid = backend_pid()
    connection.close()
    with psycopg.connect(database_url, autocommit=True) as direct:
        direct.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    assert User.objects.count() == 0
    assert backend_pid() != pid


def test_connection_that_lives_is_used_again_without_a_question(monkeypatch: pytest.MonkeyPatch):
    backend_pid()
    connection.close()

    def asked(_: Any) -> None:
        pytest.fail("the server was asked")

    monkeypatch.setattr(base.ConnectionPool, "check_connection", asked)
    assert backend_pid()


def test_what_the_server_says_by_itself_costs_a_question_and_no_connection(database_url: str):
    with (
        psycopg.connect(database_url, autocommit=True) as pooled,
        psycopg.connect(database_url, autocommit=True) as other,
    ):
        pooled.execute("LISTEN something")
        assert not base.has_spoken(pooled)
        other.execute("NOTIFY something")
        wait_until(lambda: base.has_spoken(pooled))
        base.ConnectionPool.check_connection(pooled)
        assert not base.has_spoken(pooled)


def test_prepared_statement_is_planned_once_on_a_connection():
    for number in range(3):
        assert prepared.run_prepared("SELECT %s::int + 1", [number]) == (number + 1,)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'SELECT $1::int%'")
        assert cursor.fetchone() == (1,)


def test_prepared_statement_takes_part_in_the_transaction_and_its_errors_are_djangos(owner: User):
    rename = "UPDATE accounts_user SET username = %s WHERE id = %s RETURNING id"

    @transaction.atomic
    def rename_and_fail() -> None:
        assert prepared.run_prepared(rename, ["renamed", owner.pk]) == (owner.pk,)
        prepared.run_prepared(rename, [None, owner.pk])  # a name there must be

    with pytest.raises(IntegrityError):
        rename_and_fail()
    owner.refresh_from_db()
    assert owner.username == "owner"
    assert prepared.run_prepared(rename, ["renamed", owner.pk]) == (owner.pk,)


def test_prepared_statement_reads_what_djangos_cursors_read():
    now = "SELECT '2026-02-03 04:05:06.789+00'::timestamptz, NULL::timestamptz, '{\"a\": 1}'::jsonb"
    with connection.cursor() as cursor:
        cursor.execute(now)
        assert prepared.run_prepared(now, []) == cursor.fetchone() == (MOMENT, None, '{"a": 1}')


@pytest.fixture
def altered(database_url: str) -> Iterator[Callable[[str], None]]:
    """What a migration does meanwhile, from another connection."""
    name = connection.settings_dict["NAME"]
    with psycopg.connect(database_url, dbname=name, autocommit=True) as direct:
        direct.execute("CREATE TABLE changing (number integer NOT NULL)")
        direct.execute("INSERT INTO changing VALUES (7)")
        yield direct.execute
        direct.execute("DROP TABLE changing")


def test_statement_is_prepared_anew_where_a_migration_changed_a_columns_type(altered: Callable[[str], None]):
    """The old plan's rows had another type, and PostgreSQL refuses it as long as the connection lives."""
    ask = "SELECT number FROM changing WHERE number > %s"
    assert prepared.run_prepared(ask, [1]) == (7,)
    altered("ALTER TABLE changing ALTER number TYPE text")
    altered("ALTER TABLE changing ALTER number TYPE bigint USING number::bigint")
    assert prepared.run_prepared(ask, [1]) == (7,)
    assert prepared.run_prepared(ask, [1]) == (7,)


def test_statement_is_prepared_anew_however_many_pooled_connections_have_the_old_plan(
    altered: Callable[[str], None],
):
    ask = "SELECT number FROM changing WHERE number > %s"
    together = threading.Barrier(6)

    def ask_and_give_back() -> None:
        together.wait(60)
        assert prepared.run_prepared(ask, [1]) == (7,)
        together.wait(60)  # until then each has a connection of its own
        connection.close()

    with ThreadPoolExecutor(6) as threads:
        for asked in [threads.submit(ask_and_give_back) for _ in range(6)]:
            asked.result()
    altered("ALTER TABLE changing ALTER number TYPE bigint")
    connection.close()
    assert prepared.run_prepared(ask, [1]) == (7,)


def test_transaction_that_meets_such_a_statement_fails_once(altered: Callable[[str], None]):
    """What it did before would be lost, if another connection took its place."""
    ask = "SELECT number FROM changing WHERE number > %s"

    @transaction.atomic
    def ask_twice() -> None:
        assert prepared.run_prepared(ask, [1]) == (7,)
        assert prepared.run_prepared(ask, [2]) == (7,)

    ask_twice()
    altered("ALTER TABLE changing ALTER number TYPE bigint")
    with pytest.raises(NotSupportedError):
        ask_twice()
    ask_twice()
