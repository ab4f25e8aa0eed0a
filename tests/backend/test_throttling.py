"""Who asks too often is told when to come back; counting is shared by all processes and costs one statement."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from rest_framework.test import APIClient

from backend.accounts import throttling
from backend.accounts.counting import give_back, take
from backend.accounts.models import Count, User
from backend.accounts.throttling import RATES, Rates
from contract.plans import Plan
from tests.backend.conftest import client_of

AGE = timedelta(days=10_000)  # a window that does not end while a test runs


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three reads and two changes in a window that does not end while a test runs."""
    monkeypatch.setattr(throttling, "WINDOW", AGE)
    for plan in Plan:
        monkeypatch.setitem(throttling.RATES, plan, Rates(reads=3, changes=2))


@pytest.mark.django_db
def test_too_many_requests_are_refused_with_the_time_to_wait(few: None, api: APIClient):
    answers = [api.get("/api/videos") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    refused = answers[-1]
    assert refused.json()["code"] == "throttled"
    assert 0 < int(refused["Retry-After"]) <= AGE.total_seconds()
    assert refused["RateLimit"].startswith('"reads";r=0;t=')


@pytest.mark.django_db
def test_answers_say_how_much_is_left(few: None, api: APIClient):
    answer = api.get("/api/videos")
    assert answer["RateLimit-Policy"] == f'"reads";q=3;w={AGE.total_seconds():.0f}'
    assert answer["RateLimit"].startswith('"reads";r=2;t=')


@pytest.mark.django_db
def test_reads_and_changes_are_counted_apart(few: None, api: APIClient):
    for _ in range(3):
        api.post("/api/videos", {}, format="json")
    assert api.post("/api/videos", {}, format="json").status_code == 429
    assert api.get("/api/videos").status_code == 200


@pytest.mark.django_db
def test_users_are_counted_apart_but_not_their_keys_and_sessions(few: None, owner: User, stranger_api: APIClient):
    browser = Client()
    browser.force_login(owner)
    client_of(owner).get("/api/videos")
    client_of(owner).get("/api/videos")
    assert browser.get("/api/videos").status_code == 200
    assert browser.get("/api/videos").status_code == 429
    assert stranger_api.get("/api/videos").status_code == 200


@pytest.mark.django_db
def test_plan_says_how_often(owner: User):
    owner.plan = Plan.PRO.value
    owner.save()
    answer = client_of(owner).get("/api/videos")
    assert answer["RateLimit-Policy"].startswith(f'"reads";q={RATES[Plan.PRO].reads};')


def test_better_plans_allow_more():
    assert set(RATES) == set(Plan)
    ascending = [RATES[plan] for plan in reversed(Plan)]
    assert ascending == sorted(ascending, key=lambda rates: (rates.reads, rates.changes))


def test_documented_rates_are_the_ones_that_hold():
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    for plan, rates in RATES.items():
        assert f"| {plan.name.title()} | {rates.reads:,} | {rates.changes:,} |" in page


@pytest.mark.django_db
def test_next_window_begins_anew():
    assert [take("a", AGE).count for _ in range(3)] == [1, 2, 3]
    Count.objects.update(began_at="2026-01-01T00:00:00Z")
    assert take("a", AGE).count == 1


@pytest.mark.django_db
def test_what_was_taken_can_be_given_back():
    take("a", AGE)
    give_back("a")
    give_back("a")
    assert take("a", AGE).count == 1


@pytest.mark.django_db
def test_counting_takes_one_statement(django_assert_num_queries: Any):
    with django_assert_num_queries(1):
        assert 0 <= take("a", AGE).seconds_left <= AGE.total_seconds()


@pytest.mark.django_db
def test_counts_are_not_written_to_the_log():
    """A request must not wait for the disk because it was counted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = 'accounts_count'")
        assert cursor.fetchone() == ("u",)


@pytest.mark.django_db(transaction=True)
def test_none_is_lost_when_many_count_at_once():
    def count() -> None:
        for _ in range(25):
            take("crowd", AGE)
        connection.close()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Count.objects.get(subject="crowd").taken == 100
