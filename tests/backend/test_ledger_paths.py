"""The ledger sums, in any order of everything that may happen to analyses, repeated and broken off at any step.

Requests, retries, cancelling and deleting through the services, the job through its own SQL, AWS Batch through its
events, dead letters through their consumer. A step that breaks off has done everything but commit.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.accounts.models import User
from backend.plans import credits
from backend.plans.credits import adjust, balance_of, credits_of
from backend.plans.models import LedgerEntry
from backend.videos import services
from backend.videos.cancelling import cancel_analysis
from backend.videos.dead_requests import bury_request
from backend.videos.deleting import delete_analysis, remove_analysis
from backend.videos.errors import RequestRefused
from backend.videos.following import follow_job
from backend.videos.job_events import JobEvent
from backend.videos.models import Analysis, Run
from batch_job.claim import Claim, Token
from batch_job.database import Database
from batch_job.errors import ClaimLost, OutOfMemory
from batch_job.store import Store
from contract.plans import LIMITS, Plan
from contract.results import DecodeReport, Summary
from contract.statuses import TERMINAL, AnalysisStatus
from tests.backend.making import DECODE_REPORT, job_event, make_video

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]

REPORT = DecodeReport(**{**DECODE_REPORT, "skipped": ()})
SUMMARY = Summary(frames=0, detections=0, tracks=0, per_class={}, thumbnails=())
JOBS = [("job-1", 1), ("job-1", 2), ("job-2", 1)]
SIZES = (5, 3_000_000)  # of files, and so of quotes while no length is known

FIRST = (1, 3)  # analyses of each user at the start: below what their plans allow at a time


class BrokenOff(Exception):
    """Somebody pulled the plug before the commit."""


class BreakingDatabase(Database):
    """The job's connection; told so, it loses what a transaction did."""

    breaking = False

    def transact(self, work: Callable[[psycopg.Connection, bool], Any]) -> Any:
        def broken(connection: psycopg.Connection, repeated: bool) -> Any:
            result = work(connection, repeated)
            if self.breaking:
                raise BrokenOff
            return result

        return super().transact(broken)


class NoBucket:
    def delete_under(self, prefix: str) -> None: ...


@dataclass
class Known:
    """What the test remembers of an analysis, also after its rows are gone."""

    owner: int
    status: str = "queued"
    claims: dict[Any, Claim] = field(default_factory=dict)


class Economy:
    """Two users, and everybody who may change their analyses and credits."""

    def __init__(self, database: BreakingDatabase) -> None:
        self.database = database
        self.month = date(2026, 1, 1)
        plans = (Plan.FREE, Plan.STARTER)
        self.users = [User.objects.create(username=uuid4().hex, plan=plan.value) for plan in plans]
        self.videos = [[make_video(user, size_bytes=size) for size in SIZES] for user in self.users]
        self.analyses: dict[UUID, Known] = {}
        self.adjusted = [0, 0]

    def begin(self) -> None:
        for user, count in enumerate(FIRST):
            for _ in range(count):
                self.request(user, 0, None, False)

    def settled(self, breaking: bool, step: Callable[[], Any]) -> Any:
        """What the step gave; None where it was refused or broken off."""
        self.database.breaking = breaking
        try:
            with transaction.atomic():
                result = step()
                if breaking:
                    raise BrokenOff
                return result
        except (RequestRefused, ClaimLost, BrokenOff):
            return None
        finally:
            self.database.breaking = False

    def at(self, place: int) -> Analysis | None:
        rows = Analysis.objects.filter(pk__in=list(self.analyses)).order_by("created_at", "id")
        return rows[place % len(rows)] if rows else None

    def begun(self, owner: int, requested: services.RequestedAnalysis | None) -> None:
        if requested is not None and not requested.replayed:
            self.analyses[requested.analysis.pk] = Known(owner)

    def request(self, user: int, size: int, key: str | None, breaking: bool) -> None:
        owner, video = self.users[user], self.videos[user][size]
        self.begun(
            user,
            self.settled(
                breaking,
                lambda: services.request_analysis(
                    owner=owner, video_id=video.pk, model=None, options={}, idempotency_key=key
                ),
            ),
        )

    def retry(self, place: int, breaking: bool) -> None:
        if analysis := self.at(place):
            user = self.analyses[analysis.pk].owner
            again = self.settled(
                breaking, lambda: services.retry_analysis(owner=self.users[user], analysis=analysis)
            )
            self.begun(user, again)

    def cancel(self, place: int, breaking: bool) -> None:
        if analysis := self.at(place):
            self.settled(breaking, lambda: cancel_analysis(analysis=analysis))

    def dead_letter(self, place: int, breaking: bool) -> None:
        if analysis := self.at(place):
            body = json.dumps({"analysis_id": str(analysis.pk)})
            self.settled(breaking, lambda: bury_request(message_id=str(analysis.pk), body=body))

    def event(self, place: int, state: str, job_id: str, breaking: bool) -> None:
        if analysis := self.at(place):
            event = JobEvent.from_json(job_event(analysis.pk, state, job_id=job_id))
            assert event is not None
            self.settled(breaking, lambda: follow_job(event=event))

    def job(self, place: int, job: tuple[str, int], act: str, breaking: bool) -> None:
        analysis = self.at(place)
        if analysis is None:
            return
        token = Token(analysis_id=analysis.pk, job_id=job[0], attempt=job[1])
        claim = self.analyses[analysis.pk].claims.setdefault(job, Claim(self.database, token))
        match act:
            case "take":
                self.settled(breaking, claim.take)
            case "fail":
                self.settled(breaking, lambda: claim.fail(OutOfMemory()))
            case _:
                if act == "finish late":
                    Run.objects.filter(analysis=analysis).update(started_at="2026-01-01T00:00:00Z")
                store = Store(self.database, claim)
                self.settled(breaking, lambda: store.finish(summary=SUMMARY, report=REPORT, seconds={}))

    def job_from_start_to_end(self, place: int, job: tuple[str, int], end: str, breaking: bool) -> None:
        self.job(place, job, "take", False)
        self.job(place, job, end, breaking)
        self.job(place, job, end, False)

    def delete(self, place: int, breaking: bool) -> None:
        if analysis := self.at(place):
            self.settled(breaking, lambda: delete_analysis(analysis=analysis))

    def remove(self, place: int, breaking: bool) -> None:
        analysis = self.at(place)
        if analysis is not None and analysis.deleted_at is not None:
            self.settled(breaking, lambda: remove_analysis(str(analysis.pk), bucket=NoBucket()))

    def month_passes(self) -> None:
        self.month = date(self.month.year + self.month.month // 12, self.month.month % 12 + 1, 1)

    def raise_plan(self, plan: Plan, by: int) -> None:
        """A deploy that changes what the plan brings."""
        LIMITS[plan] = replace(LIMITS[plan], monthly_credits=LIMITS[plan].monthly_credits + by)

    def change_plan(self, user: int, plan: Plan) -> None:
        self.users[user].plan = plan.value
        self.users[user].save()

    def gift(self, user: int, amount: int, breaking: bool) -> None:
        if self.settled(breaking, lambda: adjust(self.users[user], amount, reason="a gift")):
            self.adjusted[user] += amount

    def look(self, user: int, breaking: bool) -> None:
        self.settled(breaking, lambda: balance_of(self.users[user]))

    def every_balance_is_the_sum_of_all_entries_so_far(self) -> None:
        for place, user in enumerate(self.users):
            total, of_kind = 0, dict.fromkeys(LedgerEntry.Kind.values, 0)
            for entry in LedgerEntry.objects.filter(user=user).order_by("id"):
                total += entry.credits
                of_kind[entry.kind] += entry.credits
                assert entry.balance == total >= 0
            assert of_kind["adjustment"] == self.adjusted[place]
            assert -of_kind["lapse"] <= of_kind["grant"]

    def every_analysis_is_reserved_once_and_closed_once_when_it_is_over(self) -> None:
        now = dict(Analysis.objects.filter(pk__in=list(self.analyses)).values_list("pk", "status"))
        for pk, known in self.analyses.items():
            known.status = now.get(pk, known.status)
            entries = dict(LedgerEntry.objects.filter(analysis_id=pk).values_list("kind", "credits"))
            closed = {
                AnalysisStatus.SUCCEEDED: {"reservation", "settlement"},
                AnalysisStatus.FAILED: {"reservation", "refund"},
                AnalysisStatus.CANCELLED: {"reservation", "refund"},
            }
            assert set(entries) - {"lapse"} == closed.get(AnalysisStatus(known.status), {"reservation"})
            assert LedgerEntry.objects.filter(analysis_id=pk).count() == len(entries)
            quoted = -entries["reservation"]
            assert quoted > 0
            assert entries.get("refund", quoted) == quoted
            assert 0 <= entries.get("settlement", 0) <= quoted
        assert LedgerEntry.objects.exclude(analysis_id=None).filter(user__in=self.users).values(
            "analysis_id"
        ).distinct().count() == len(self.analyses)

    def nobody_gets_more_than_one_plans_credits_a_month(self) -> None:
        most = max(limits.monthly_credits for limits in LIMITS.values())
        for user in self.users:
            granted: dict[Any, int] = {}
            for entry in LedgerEntry.objects.filter(user=user, kind="grant"):
                granted[entry.month] = granted.get(entry.month, 0) + entry.credits
            assert all(total <= most for total in granted.values())

    def no_credits_outlive_the_month_that_they_were_granted_for(self) -> None:
        """Whenever they came back. Reckoned anew: what counts is the month in which they were reserved."""
        for place, user in enumerate(self.users):
            self.look(place, False)
            months: list[Any] = []
            granted: Counter[Any] = Counter()
            spent: Counter[Any] = Counter()
            reserved_in = {}
            for entry in LedgerEntry.objects.filter(user=user).order_by("id"):
                if entry.kind == "grant":
                    granted[entry.month] += entry.credits
                    months = [*months, entry.month] if entry.month not in months else months
                elif entry.kind == "reservation":
                    reserved_in[entry.analysis_id] = months[-1]
                if entry.kind in ("reservation", "settlement", "refund"):
                    spent[reserved_in[entry.analysis_id]] -= entry.credits
            of_staff = self.adjusted[place] - sum(max(spent[month] - granted[month], 0) for month in months)
            assert months[-1] == self.month
            assert balance_of(user) == max(granted[self.month] - spent[self.month], 0) + of_staff
            assert balance_of(user) <= granted[self.month] + self.adjusted[place]

    def what_is_reserved_belongs_to_analyses_that_are_not_over(self) -> None:
        for place, user in enumerate(self.users):
            open_ones = [
                pk for pk, known in self.analyses.items() if known.owner == place and known.status not in TERMINAL
            ]
            held = LedgerEntry.objects.filter(kind="reservation", analysis_id__in=open_ones)
            assert credits_of(user).reserved == -sum(held.values_list("credits", flat=True))


breaks = st.sampled_from([False, False, True])
places, users = st.integers(0, 7), st.integers(0, 1)
jobs = st.sampled_from(JOBS)


def a_step(name: str, *values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *values)


steps = st.one_of(
    a_step("request", users, st.integers(0, 1), st.sampled_from([None, "a", "b"]), breaks),
    a_step("retry", places, breaks),
    a_step("cancel", places, breaks),
    a_step("dead_letter", places, breaks),
    a_step(
        "event",
        places,
        st.sampled_from(["SUBMITTED", "RUNNING", "FAILED", "SUCCEEDED"]),
        st.sampled_from(["job-1", "job-2"]),
        breaks,
    ),
    a_step("job", places, jobs, st.sampled_from(["take", "fail", "finish", "finish late"]), breaks),
    a_step("job_from_start_to_end", places, jobs, st.sampled_from(["fail", "finish", "finish late"]), breaks),
    a_step("delete", places, breaks),
    a_step("remove", places, breaks),
    a_step("month_passes"),
    a_step("month_passes"),
    a_step("raise_plan", st.sampled_from([Plan.FREE, Plan.STARTER]), st.integers(1, 300)),
    a_step("change_plan", users, st.sampled_from(list(Plan))),
    a_step("gift", users, st.integers(1, 500), breaks),
    a_step("look", users, breaks),
)


@pytest.fixture
def database() -> Iterator[BreakingDatabase]:
    parts = connection.settings_dict
    database = BreakingDatabase(f"postgresql://{parts['USER']}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}")
    yield database
    database.close()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=st.lists(steps, min_size=6, max_size=16))
def test_the_ledger_sums_whatever_happens_in_whatever_order(
    database: BreakingDatabase, monkeypatch: pytest.MonkeyPatch, order: list[tuple[Any, ...]]
):
    with monkeypatch.context() as patch:
        economy = Economy(database)
        patch.setattr(credits, "_this_month", lambda: economy.month)
        for plan, limits in LIMITS.items():
            patch.setitem(LIMITS, plan, limits)  # put back after each example
        economy.begin()
        for name, *values in order:
            getattr(economy, name)(*values)
            economy.every_balance_is_the_sum_of_all_entries_so_far()
            economy.every_analysis_is_reserved_once_and_closed_once_when_it_is_over()
            economy.nobody_gets_more_than_one_plans_credits_a_month()
            economy.no_credits_outlive_the_month_that_they_were_granted_for()
            economy.what_is_reserved_belongs_to_analyses_that_are_not_over()
