"""An event that is lost keeps nobody waiting for ever: AWS Batch is asked."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from backend.accounts.models import User
from backend.gateways.batch_jobs import BATCH
from backend.videos import following
from backend.videos.models import Analysis
from backend.videos.reconciling import FORGOTTEN_AFTER, QUIET_AFTER, reconcile_once
from tests.backend.making import attempt, job_event, make_analysis, make_video

pytestmark = pytest.mark.django_db


class Batch:
    """Knows some jobs, as DescribeJobs tells them."""

    def __init__(self) -> None:
        self.jobs: dict[str, Mapping[str, Any]] = {}
        self.asked: list[Sequence[str]] = []

    def has(self, analysis: Analysis, state: str, *, job_id: str = "job-1", **fields: Any) -> None:
        # What an event has as its detail is what DescribeJobs answers.
        self.jobs[job_id] = json.loads(job_event(analysis.pk, state, job_id=job_id, **fields))["detail"]

    def describe(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        self.asked.append(job_ids)
        return [self.jobs[job_id] for job_id in job_ids if job_id in self.jobs]


@pytest.fixture
def batch() -> Batch:
    return Batch()


def make_quiet(owner: User, *, since: timedelta = QUIET_AFTER, **columns: Any) -> Analysis:
    defaults = {"status": "running", "batch_job_id": "job-1", "claim_job_id": "job-1", "claim_attempt": 1}
    analysis = make_analysis(owner, **{**defaults, **columns})
    Analysis.objects.filter(pk=analysis.pk).update(updated_at=Now() - since - timedelta(seconds=1))
    return analysis


def outcome(analysis: Analysis) -> tuple[str, str]:
    analysis.refresh_from_db()
    return analysis.status, analysis.error_code


@pytest.mark.parametrize(
    ("columns", "state", "fields", "expected"),
    [
        pytest.param(
            {},
            "FAILED",
            {"attempts": [attempt(status_reason="Host EC2 (instance i-0abc) terminated.")]},
            ("failed", "interrupted"),
            id="taken away",
        ),
        pytest.param({}, "FAILED", {"attempts": [attempt(exit_code=1)]}, ("failed", "job_lost"), id="died"),
        pytest.param(
            {}, "SUCCEEDED", {"attempts": [attempt(exit_code=0)]}, ("failed", "job_lost"), id="no result"
        ),
        pytest.param(
            {"status": "submitted", "claim_job_id": None}, "FAILED", {}, ("failed", "job_never_started"), id="none"
        ),
        pytest.param({}, "RUNNING", {}, ("running", ""), id="at work"),
        pytest.param(
            {"claim_job_id": "job-1:4"}, "FAILED", {"attempts": [attempt()]}, ("failed", "job_lost"), id="array"
        ),
    ],
)
def test_what_batch_says_counts_like_an_event(
    owner: User, batch: Batch, columns: Any, state: str, fields: Any, expected: tuple[str, str]
):
    analysis = make_quiet(owner, **columns)
    batch.has(analysis, state, **fields)
    assert reconcile_once(batch) == 1
    assert outcome(analysis) == expected


def test_job_that_waits_shows_its_true_state(owner: User, batch: Batch):
    analysis = make_quiet(owner, status="submitted", claim_job_id=None, batch_state="SUBMITTED")
    batch.has(analysis, "RUNNABLE", status_reason="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY")
    reconcile_once(batch)
    analysis.refresh_from_db()
    assert (analysis.batch_state, analysis.batch_reason) == ("RUNNABLE", "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY")


def test_jobs_that_wait_as_before_cost_their_description_and_no_more(
    owner: User, batch: Batch, caplog: pytest.LogCaptureFixture, django_assert_num_queries: Any
):
    """There may be thousands in line, and every worker looks at all of them each minute."""
    video = make_video(owner)
    for number in range(3):
        columns = {"status": "submitted", "claim_job_id": None, "batch_state": "RUNNABLE"}
        analysis = make_quiet(owner, video=video, batch_job_id=f"job-{number}", **columns)
        batch.has(analysis, "RUNNABLE", job_id=f"job-{number}")
    with caplog.at_level("INFO"), django_assert_num_queries(1):
        assert reconcile_once(batch) == 3
    assert not caplog.records


def test_nothing_is_asked_about_what_is_over_or_was_just_heard_of(owner: User, batch: Batch):
    for status in ("succeeded", "failed", "cancelled", "queued"):
        make_quiet(owner, status=status)
    make_analysis(owner, status="running", batch_job_id="job-1")
    assert reconcile_once(batch) == 0
    assert batch.asked == []


def test_job_that_batch_does_not_know_is_closed_only_when_it_may_have_been_forgotten(owner: User, batch: Batch):
    """A worker that asks in the wrong region knows no job at all, and must not fail everybody's analyses."""
    recent, old = make_quiet(owner), make_quiet(owner, since=FORGOTTEN_AFTER, batch_job_id="j", claim_job_id="j")
    reconcile_once(batch)
    assert outcome(recent) == ("running", "")
    assert outcome(old) == ("failed", "job_lost")


def test_one_that_meets_a_fault_of_ours_holds_up_no_other(
    owner: User, batch: Batch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """It would be the first of all, minute by minute, because nothing is written to it."""
    broken, other = make_quiet(owner, since=QUIET_AFTER * 2), make_quiet(owner, batch_job_id="j", claim_job_id="j")
    batch.has(broken, "FAILED", attempts=[attempt(exit_code=1)])
    batch.has(other, "FAILED", job_id="j", attempts=[attempt(exit_code=1)])
    close = following._close

    def closes(analysis: Analysis, *arguments: Any) -> None:
        if analysis == broken:
            raise KeyError("code")
        close(analysis, *arguments)

    monkeypatch.setattr(following, "_close", closes)
    reconcile_once(batch)
    assert outcome(broken) == ("running", "")
    assert outcome(other) == ("failed", "job_lost")
    assert "job not followed" in caplog.text


def test_more_jobs_than_one_call_describes(owner: User, batch: Batch):
    video = make_video(owner)
    for number in range(BATCH + 1):
        job_id = f"job-{number}"
        analysis = make_quiet(owner, video=video, batch_job_id=job_id, claim_job_id=job_id)
        batch.has(analysis, "FAILED", job_id=job_id, attempts=[attempt(exit_code=1)])
    assert reconcile_once(batch) == BATCH + 1
    assert sorted(len(asked) for asked in batch.asked) == [1, BATCH]
    assert set(Analysis.objects.values_list("status", flat=True)) == {"failed"}
    assert reconcile_once(batch) == 0


def test_answer_nobody_can_read_does_not_hold_up_the_others(owner: User, batch: Batch):
    odd, lost = make_quiet(owner), make_quiet(owner, batch_job_id="j", claim_job_id="j")
    batch.has(odd, "HIBERNATING")
    batch.has(lost, "FAILED", job_id="j", attempts=[attempt(exit_code=1)])
    reconcile_once(batch)
    assert outcome(odd) == ("running", "")
    assert outcome(lost) == ("failed", "job_lost")
