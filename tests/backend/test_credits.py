"""What is asked for is reserved, what was not used comes back, and the ledger always sums."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test import Client
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.plans import credits
from backend.plans.credits import adjust, balance_of, credits_of, grant_month, reserve
from backend.plans.errors import CreditsInsufficient
from backend.plans.models import LedgerEntry
from backend.videos.models import Analysis, OutboxMessage, Run
from contract.messages import AnalysisRequest
from contract.plans import LIMITS, Plan
from tests.backend.making import make_analysis, make_video
from tests.backend.together import at_once

pytestmark = pytest.mark.django_db

FREE, STARTER = LIMITS[Plan.FREE].monthly_credits, LIMITS[Plan.STARTER].monthly_credits


def at_commit() -> None:
    """The test's transaction is never committed: what waits for that is done now."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED")


def kinds(user: User) -> list[tuple[str, int]]:
    return list(LedgerEntry.objects.filter(user=user).order_by("id").values_list("kind", "credits"))


def in_month(monkeypatch: pytest.MonkeyPatch, month: int) -> None:
    monkeypatch.setattr(credits, "_this_month", lambda: date(2026, month, 1))


def test_plans_credits_come_once_a_month(free: User, monkeypatch: pytest.MonkeyPatch):
    in_month(monkeypatch, 3)
    for _ in range(3):
        assert balance_of(free) == FREE
    assert kinds(free) == [("grant", FREE)]


def test_unused_credits_of_a_plan_lapse_and_those_from_staff_stay(free: User, monkeypatch: pytest.MonkeyPatch):
    in_month(monkeypatch, 3)
    grant_month(free)
    adjust(free, 50, reason="sorry for the wait")
    reserve(free, uuid.uuid4(), 100)
    in_month(monkeypatch, 5)  # nobody looked in April
    assert balance_of(free) == FREE + 50
    assert kinds(free)[-2:] == [("lapse", -(FREE - 100)), ("grant", FREE)]


def test_credits_from_staff_are_spent_after_the_plans(free: User, monkeypatch: pytest.MonkeyPatch):
    in_month(monkeypatch, 12)
    adjust(free, 50, reason="welcome")
    grant_month(free)
    reserve(free, uuid.uuid4(), FREE + 20)
    monkeypatch.setattr(credits, "_this_month", lambda: date(2027, 1, 1))
    assert balance_of(free) == FREE + 30
    assert "lapse" not in dict(kinds(free))


def closed(user: User, credits: int, *, status: str = "failed", used: float | None = None) -> Callable[[], None]:
    """Reserves; what it gives ends the analysis."""
    analysis = make_analysis(user, status="running")
    reserve(user, analysis.pk, credits)

    def end() -> None:
        if used is not None:
            began = datetime(2026, 1, 1, tzinfo=UTC)
            times = {"started_at": began, "seen_at": began + timedelta(seconds=used)}
            Run.objects.create(analysis=analysis, job_id="job-1", attempt=1, gpu=True, **times)
        Analysis.objects.filter(pk=analysis.pk).update(status=status)
        at_commit()

    return end


def test_refund_after_the_months_end_does_not_outlive_the_months_grant(
    free: User, monkeypatch: pytest.MonkeyPatch
):
    in_month(monkeypatch, 3)
    end = closed(free, 100)
    in_month(monkeypatch, 4)
    assert balance_of(free) == FREE
    end()
    assert kinds(free)[-2:] == [("refund", 100), ("lapse", -100)]
    assert balance_of(free) == FREE
    in_month(monkeypatch, 5)
    assert balance_of(free) == FREE


def test_refund_before_the_next_months_grant_lapses_with_its_month(free: User, monkeypatch: pytest.MonkeyPatch):
    """Nobody has looked in April yet: there is no grant that it could be added to."""
    in_month(monkeypatch, 3)
    end = closed(free, 100)
    in_month(monkeypatch, 4)
    end()
    assert kinds(free)[-1] == ("refund", 100)
    assert balance_of(free) == FREE
    assert kinds(free)[-2:] == [("lapse", -FREE), ("grant", FREE)]


def test_what_a_success_did_not_use_lapses_late_as_well(free: User, monkeypatch: pytest.MonkeyPatch):
    in_month(monkeypatch, 3)
    end = closed(free, 100, status="succeeded", used=30)
    in_month(monkeypatch, 4)
    balance_of(free)
    end()
    assert kinds(free)[-2:] == [("settlement", 70), ("lapse", -70)]


def test_staffs_credits_come_back_late_and_stay(free: User, monkeypatch: pytest.MonkeyPatch):
    """They were spent after those of the plan, so they come back before them."""
    in_month(monkeypatch, 3)
    adjust(free, 50, reason="sorry for the wait")
    grant_month(free)
    first, second = closed(free, FREE), closed(free, 50)
    in_month(monkeypatch, 4)
    assert balance_of(free) == FREE
    first()
    assert kinds(free)[-2:] == [("refund", FREE), ("lapse", 50 - FREE)]
    second()
    assert kinds(free)[-2:] == [("refund", 50), ("lapse", -50)]
    for month in (4, 5, 6):
        in_month(monkeypatch, month)
        assert balance_of(free) == FREE + 50


def test_late_refund_leaves_the_credits_of_its_new_month_alone(free: User, monkeypatch: pytest.MonkeyPatch):
    in_month(monkeypatch, 3)
    end = closed(free, 100)
    in_month(monkeypatch, 4)
    reserve(free, uuid.uuid4(), FREE)
    end()
    assert balance_of(free) == 0
    in_month(monkeypatch, 5)
    assert balance_of(free) == FREE
    assert kinds(free)[-2:] == [("lapse", -100), ("grant", FREE)]


def test_late_lapse_names_its_analysis_in_the_ledger(api: APIClient, free: User, monkeypatch: pytest.MonkeyPatch):
    in_month(monkeypatch, 3)
    end = closed(free, 100)
    in_month(monkeypatch, 4)
    balance_of(free)
    end()
    lapse, refund, *_ = api.get("/api/account/ledger").json()["results"]
    assert (lapse["kind"], lapse["analysis"], lapse["month"]) == ("lapse", refund["analysis"], "2026-04-01")


def raise_plan(monkeypatch: pytest.MonkeyPatch, plan: Plan, by: int) -> None:
    """As a deploy does."""
    raised = replace(LIMITS[plan], monthly_credits=LIMITS[plan].monthly_credits + by)
    monkeypatch.setitem(LIMITS, plan, raised)


def test_plan_that_is_raised_in_the_middle_of_a_month_brings_the_difference_once(
    free: User, monkeypatch: pytest.MonkeyPatch
):
    in_month(monkeypatch, 3)
    grant_month(free)
    for times in (1, 2):
        raise_plan(monkeypatch, Plan.FREE, 100)
        for _ in range(3):
            assert balance_of(free) == FREE + 100 * times
    assert kinds(free) == [("grant", FREE), ("grant", 100), ("grant", 100)]
    in_month(monkeypatch, 4)
    assert balance_of(free) == FREE + 200


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("granted_before", [False, True])
def test_requests_at_once_get_the_difference_once(
    free: User, monkeypatch: pytest.MonkeyPatch, granted_before: bool
):
    """Each alone would find it due; nothing but the account's lock is between them."""
    in_month(monkeypatch, 3)
    if granted_before:
        grant_month(free)
    raise_plan(monkeypatch, Plan.FREE, 100)
    assert at_once(6, lambda: balance_of(free)) == [FREE + 100] * 6
    assert [credits for _, credits in kinds(free)] == ([FREE, 100] if granted_before else [FREE + 100])


def test_larger_plan_brings_what_it_has_more_at_once_and_only_once(free: User, monkeypatch: pytest.MonkeyPatch):
    in_month(monkeypatch, 3)
    grant_month(free)
    for plan in (Plan.STARTER, Plan.FREE, Plan.STARTER):
        free.plan = plan.value
        assert balance_of(free) == STARTER
    assert kinds(free) == [("grant", FREE), ("grant", STARTER - FREE)]


def test_request_reserves_its_quote_and_sets_a_time_limit(api: APIClient, free: User):
    video = make_video(free, size_bytes=1_000_000)
    quoted = api.post("/api/quotes", {"video": str(video.pk)}, format="json").json()["credits"]
    made = api.post("/api/analyses", {"video": str(video.pk)}, format="json").json()["id"]
    assert kinds(free) == [("grant", FREE), ("reservation", -quoted)]
    assert str(LedgerEntry.objects.get(kind="reservation").analysis_id) == made
    assert credits_of(free).reserved == quoted
    message = AnalysisRequest.from_json(OutboxMessage.objects.get().body)
    assert message.timeout_seconds is not None
    assert message.timeout_seconds >= 1800 + 10 * (quoted - 1)


def test_request_beyond_the_balance_says_what_to_do_and_queues_nothing(api: APIClient, free: User):
    grant_month(free)
    adjust(free, 5 - FREE, reason="spent elsewhere")
    answer = api.post("/api/analyses", {"video": str(make_video(free).pk)}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (402, "credits_insufficient")
    (said,) = answer.json()["errors"]["credits"]
    assert "and you have 5." in said
    assert "every_nth" in said
    assert "The plan Starter allows 7,200 a month." in said
    assert not Analysis.objects.exists()
    assert not OutboxMessage.objects.exists()


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_what_failed_or_was_cancelled_costs_nothing(free: User, status: str):
    analysis = make_analysis(free)
    reserve(free, analysis.pk, 40)
    Analysis.objects.filter(pk=analysis.pk).update(status=status)
    at_commit()
    assert kinds(free)[-2:] == [("reservation", -40), ("refund", 40)]
    assert balance_of(free) == FREE


@pytest.mark.parametrize(
    ("runs", "charged"),
    [
        pytest.param([(0, 12.3)], 13, id="seconds are rounded up"),
        pytest.param([(0, 5.5), (10, 20)], 16, id="attempts add up"),
        pytest.param([(0, 300)], 40, id="never above the quote"),
        pytest.param([(0, 0)], 0, id="no time at all"),
        pytest.param([], 40, id="nobody knows how long it took"),
    ],
)
def test_success_costs_the_seconds_that_it_took(free: User, runs: list[tuple[float, float]], charged: int):
    analysis = make_analysis(free, status="running")
    reserve(free, analysis.pk, 40)
    for attempt, (start, end) in enumerate(runs, 1):
        began = datetime(2026, 1, 1, tzinfo=UTC)
        times = {"started_at": began + timedelta(seconds=start), "seen_at": began + timedelta(seconds=end)}
        Run.objects.create(analysis=analysis, job_id="job-1", attempt=attempt, gpu=True, **times)
    Analysis.objects.filter(pk=analysis.pk).update(status="succeeded")
    at_commit()
    assert kinds(free)[-1] == ("settlement", 40 - charged)
    found = credits_of(free)
    assert (found.balance, found.reserved, found.used_this_month) == (FREE - charged, 0, charged)


def test_database_refuses_what_would_be_a_double_charge_or_refund(free: User):
    """Not only our code: nobody can write it."""
    analysis = make_analysis(free)
    reserve(free, analysis.pk, 40)
    other = make_analysis(free)
    with pytest.raises(IntegrityError, match="plans_ledger_reserved_once"), transaction.atomic():
        reserve(free, analysis.pk, 40)
    entry = {"user": free, "analysis_id": analysis.pk}
    for kind, amount in (("refund", 39), ("refund", 41), ("settlement", 41)):
        with pytest.raises(IntegrityError, match="does not fit"), transaction.atomic():
            LedgerEntry.objects.create(**entry, kind=kind, credits=amount)
    with pytest.raises(IntegrityError, match="does not fit"), transaction.atomic():
        LedgerEntry.objects.create(user=free, analysis_id=other.pk, kind="refund", credits=0)
    Analysis.objects.filter(pk=analysis.pk).update(status="failed")
    at_commit()
    for kind, amount in (("refund", 40), ("settlement", 0)):
        with pytest.raises(IntegrityError, match="plans_ledger_closed_once"), transaction.atomic():
            LedgerEntry.objects.create(**entry, kind=kind, credits=amount)


def test_database_refuses_to_overdraw_and_to_rewrite(free: User):
    grant_month(free)
    too_much = {"kind": "reservation", "credits": -FREE - 1, "analysis_id": uuid.uuid4()}
    with pytest.raises(IntegrityError, match="plans_ledger_overdrawn"), transaction.atomic():
        LedgerEntry.objects.create(user=free, **too_much)
    with pytest.raises(IntegrityError, match="only appended to"), transaction.atomic():
        LedgerEntry.objects.update(credits=10**6)
    with pytest.raises(IntegrityError, match="only appended to"), transaction.atomic():
        LedgerEntry.objects.all().delete()
    with pytest.raises(CreditsInsufficient):
        reserve(free, uuid.uuid4(), FREE + 1)


def test_account_tells_plan_limits_and_credits(api: APIClient, free: User):
    make_analysis(free, status="running")
    account = api.get("/api/account").json()
    assert account["plan"] == "free"
    assert account["limits"]["monthly_credits"] == account["credits"]["balance"] == FREE
    assert account["analyses_under_way"] == 1
    assert account["credits"]["next_grant_at"].endswith("-01T00:00:00Z")


def test_ledger_comes_page_by_page_and_is_ones_own(api: APIClient, free: User, stranger: User):
    grant_month(stranger)
    grant_month(free)
    for number in range(4):
        adjust(free, 1, reason=f"number {number}")
    page = api.get("/api/account/ledger?page_size=3").json()
    last = api.get(page["next"]).json()
    found = [*page["results"], *last["results"]]
    assert last["next"] is None
    assert [entry["kind"] for entry in found] == ["adjustment"] * 4 + ["grant"]
    assert [entry["balance"] for entry in found] == [FREE + 4 - number for number in range(5)]
    assert found[0]["reason"] == "number 3"


def test_staff_give_credits_with_a_reason_and_cannot_take_what_is_not_there(free: User):
    staff = User.objects.create(username="staff", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(staff)
    path = "/admin/plans/ledgerentry/add/"
    assert client.post(path, {"user": free.pk, "credits": 70, "reason": ""}).status_code == 200
    assert client.post(path, {"user": free.pk, "credits": -FREE - 1, "reason": "fraud"}).status_code == 200
    assert "adjustment" not in dict(kinds(free))
    assert client.post(path, {"user": free.pk, "credits": 70, "reason": "beta tester"}).status_code == 302
    entry = LedgerEntry.objects.get(kind="adjustment")
    assert (entry.credits, entry.balance, entry.reason) == (70, FREE + 70, "beta tester")
    assert client.get("/admin/plans/ledgerentry/").status_code == 200
    assert client.post(f"/admin/plans/ledgerentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403


def test_changed_plan_counts_from_the_next_request_on(api: APIClient, free: User):
    assert api.get("/api/account").json()["credits"]["balance"] == FREE
    User.objects.filter(pk=free.pk).update(plan="starter")
    assert api.get("/api/account").json()["credits"]["balance"] == STARTER


def test_quote_of_a_foreign_video_looks_like_a_missing_one(api: APIClient, stranger: User):
    answer = api.post("/api/quotes", {"video": str(make_video(stranger).pk)}, format="json")
    missing: Any = api.post("/api/quotes", {"video": str(uuid.uuid4())}, format="json")
    assert answer.status_code == missing.status_code == 404
    assert answer.content == missing.content


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_entries_at_once_follow_one_another(free: User):
    """Written past our own lock: the database's is enough."""

    def give() -> None:
        for _ in range(8):
            LedgerEntry.objects.create(user=free, kind="adjustment", credits=1, reason="a gift")

    at_once(4, give)
    assert list(LedgerEntry.objects.order_by("id").values_list("balance", flat=True)) == list(range(1, 33))
