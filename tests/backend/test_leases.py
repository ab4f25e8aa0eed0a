"""A poll need not write to the database to be counted."""

import threading
from datetime import timedelta

import pytest
from django.db import connection

from backend.accounts import leases, throttling
from backend.accounts.counting import take
from backend.accounts.leases import Leases
from backend.accounts.models import Count, User
from backend.accounts.throttling import Rates
from contract.plans import Plan
from tests.backend.conftest import client_of

pytestmark = pytest.mark.django_db
AGE = timedelta(days=10_000)  # a window that does not end while a test runs


def test_every_request_is_counted_and_the_database_asked_once_for_a_block(django_assert_num_queries):
    process = Leases()
    with django_assert_num_queries(2):
        counts = [process.take("a", AGE, block=4).count for _ in range(8)]
    assert counts == [1, 2, 3, 4, 5, 6, 7, 8]
    assert Count.objects.get(subject="a").taken == 8


def test_two_processes_together_hand_out_no_more_than_is_allowed():
    """What one of them holds, the other lacks: at most a block."""
    one, another = Leases(), Leases()
    allowed = 0
    for turn in range(200):
        process = one if turn % 3 else another
        allowed += process.take("a", AGE, block=5).count <= 100
    assert 95 < allowed <= 100


def test_a_lease_ends_with_its_window(monkeypatch):
    process, clock = Leases(), 1_000.0
    monkeypatch.setattr(leases.time, "monotonic", lambda: clock)
    window = timedelta(minutes=1)
    first = process.take("a", window, block=10)
    assert process.take("a", window, block=10).count == 2
    clock += first.seconds_left
    Count.objects.update(began_at="2026-01-01T00:00:00Z")  # the database's clock does not follow ours
    assert process.take("a", window, block=10).count == 1


def test_leases_that_have_ended_are_forgotten(monkeypatch):
    process, clock = Leases(), 1_000.0
    monkeypatch.setattr(leases.time, "monotonic", lambda: clock)
    for number in range(4):
        process.take(f"old {number}", timedelta(minutes=1), block=2)
        clock += 61.0
    assert len(process._kept) == 1


@pytest.mark.django_db(transaction=True)
def test_threads_that_find_no_block_at_the_same_moment_lose_none_of_theirs():
    process, together = Leases(), threading.Barrier(4)
    seen: list[int] = []

    def ask() -> None:
        together.wait(60)
        seen.extend(process.take("crowd", AGE, block=10).count for _ in range(25))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seen)) == 100
    left = sum(block.unused for blocks in process._kept.values() for block in blocks)
    assert Count.objects.get(subject="crowd").taken == 100 + left


def test_polls_of_a_plan_that_allows_many_ask_for_no_count(
    owner: User, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries
):
    """Key and user are one query, the videos another."""
    monkeypatch.setitem(throttling.RATES, Plan(owner.plan), Rates(reads=1000, changes=10))
    api = client_of(owner)
    assert api.get("/api/videos")["RateLimit"].startswith('"reads";r=999;')
    take("reads", AGE)
    with django_assert_num_queries(2):
        answer = api.get("/api/videos")
    assert answer["RateLimit"].startswith('"reads";r=998;')
