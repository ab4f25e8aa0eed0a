"""A job that no machine takes goes to On-Demand, and at last to an end that its owner sees."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from backend.accounts.models import User
from backend.videos.following import follow_job
from backend.videos.job_events import JobEvent
from backend.videos.models import Analysis, OutboxMessage, OwedCall
from backend.videos.pulse import beat
from backend.videos.waiting import BLOCKED_ON_DEMAND, BLOCKED_ON_SPOT, IN_LINE, LONG, hurry_once
from contract.messages import AnalysisRequest
from tests.backend.making import job_event, make_analysis

pytestmark = pytest.mark.django_db

NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no instance of that type"
MINUTE = timedelta(minutes=1)


class Batch:
    """Knows one state of every job it is asked about."""

    def __init__(self, state: str) -> None:
        self.state = state

    def describe(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        jobs = Analysis.objects.filter(batch_job_id__in=job_ids)
        return [
            json.loads(job_event(job.pk, self.state, job_id=job.batch_job_id, on_demand=job.on_demand))["detail"]
            for job in jobs
        ]


def waiting_for(owner: User, time: timedelta, *, reason: str = "", **columns: Any) -> Analysis:
    defaults = {"status": "submitted", "batch_job_id": "job-1", "batch_state": "RUNNABLE", "batch_reason": reason}
    analysis = make_analysis(owner, **{**defaults, **columns})
    request = AnalysisRequest(analysis_id=analysis.pk, video_key="v", model="shapes", timeout_seconds=600)
    OutboxMessage.objects.create(analysis=analysis, body=request.to_json(), sent_at=Now())
    Analysis.objects.filter(pk=analysis.pk).update(runnable_since=timezone.now() - time)
    return analysis


def hurried(analysis: Analysis, state: str = "RUNNABLE") -> Analysis:
    hurry_once(Batch(state))
    analysis.refresh_from_db()
    return analysis


@pytest.mark.parametrize(
    ("reason", "time", "moved"),
    [
        pytest.param(NO_CAPACITY, BLOCKED_ON_SPOT - MINUTE, False, id="blocked for a while"),
        pytest.param(NO_CAPACITY, BLOCKED_ON_SPOT + MINUTE, True, id="Spot will not come"),
        pytest.param("", BLOCKED_ON_SPOT + MINUTE, False, id="others go first"),
        pytest.param("", IN_LINE - MINUTE, False, id="others go first for long"),
        pytest.param("", IN_LINE + MINUTE, True, id="others went first for too long"),
    ],
)
def test_what_spot_does_not_take_is_asked_for_on_demand(owner: User, reason: str, time: timedelta, moved: bool):
    analysis = hurried(waiting_for(owner, time, reason=reason))
    assert (analysis.status, analysis.on_demand) == (("queued", True) if moved else ("submitted", False))
    unsent = [AnalysisRequest.from_json(message.body) for message in analysis.messages.filter(sent_at=None)]
    assert [(request.on_demand, request.timeout_seconds) for request in unsent] == [(True, 600)] * moved
    assert OwedCall.objects.filter(kind="terminate_job", subject="job-1").exists() is moved


@pytest.mark.parametrize(("reason", "time"), [(NO_CAPACITY, BLOCKED_ON_DEMAND + MINUTE), ("", IN_LINE + MINUTE)])
def test_what_on_demand_does_not_take_ends_and_its_owner_reads_why(owner: User, reason: str, time: timedelta):
    analysis = hurried(waiting_for(owner, time, reason=reason, on_demand=True))
    assert (analysis.status, analysis.error_code) == ("failed", "job_never_started")
    assert analysis.error_message == "No machine became free for this analysis in time."
    assert OwedCall.objects.filter(kind="terminate_job", subject="job-1").exists()


def test_nothing_is_taken_from_a_job_that_has_started_meanwhile(owner: User):
    """The event that told of it was lost or is late; AWS Batch is asked before anything is ended."""
    analysis = hurried(waiting_for(owner, IN_LINE + MINUTE, reason=NO_CAPACITY), state="RUNNING")
    assert (analysis.status, analysis.batch_state, analysis.runnable_since) == ("submitted", "RUNNING", None)
    assert not OwedCall.objects.exists()


def test_an_array_at_work_waits_for_nothing(owner: User):
    """AWS Batch leaves its parent PENDING until the last job has ended."""
    columns = {"status": "running", "batch_state": "PENDING", "claim_job_id": "job-1", "claim_attempt": 0}
    assert hurried(waiting_for(owner, IN_LINE + MINUTE, **columns)).status == "running"


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        pytest.param({}, True, id="waits"),
        pytest.param({"batch_state": "PENDING"}, True, id="an array waits"),
        pytest.param({"batch_state": "RUNNING", "status": "running"}, False, id="has started"),
        pytest.param({"status": "cancelled"}, False, id="is over"),
    ],
)
def test_a_job_that_waits_long_is_told_every_minute(owner: User, caplog: Any, columns: dict[str, str], told: bool):
    """So that an alarm hears of it as long as it lasts, whatever the reason."""
    caplog.set_level("INFO")
    waiting_for(owner, LONG - MINUTE, **columns)
    beat()
    waiting_for(owner, LONG + MINUTE, **columns)
    beat()
    waiting_for(owner, LONG + 2 * MINUTE, **columns)
    beat()

    lines = [line for line in caplog.records if line.msg == "jobs wait long for a machine"]
    assert [line.jobs_waiting_long for line in lines] == ([1, 2] if told else [])
    assert [line.longest_wait_seconds // 60 for line in lines] == ([31, 32] if told else [])


def test_the_time_counts_from_when_the_job_became_runnable(owner: User):
    """Not from the last word about it, and anew when it is tried again."""
    analysis = make_analysis(owner)

    def since(state: str, **fields: Any) -> Any:
        event = JobEvent.from_json(job_event(analysis.pk, state, **fields))
        assert event is not None
        follow_job(event=event)
        Analysis.objects.filter(pk=analysis.pk).exclude(runnable_since=None).update(
            runnable_since=timezone.now() - IN_LINE
        ) if not fields else None
        analysis.refresh_from_db()
        return analysis.runnable_since

    assert since("SUBMITTED") is None
    began = since("RUNNABLE")
    assert since("RUNNABLE", status_reason=NO_CAPACITY) == began
    assert since("STARTING") is None


def test_the_owner_reads_why_it_waits(api: Any, owner: User):
    """In words for people, first for the reason and then for what was done about it."""
    analysis = waiting_for(owner, BLOCKED_ON_SPOT + MINUTE, reason=NO_CAPACITY)

    def sentence() -> str:
        said: str = api.get(f"/api/analyses/{analysis.pk}").json()["waiting_reason"]
        return said

    assert sentence().startswith("All machines of the right kind are taken")
    hurried(analysis)
    Analysis.objects.filter(pk=analysis.pk).update(status="submitted", batch_state="RUNNABLE")
    assert sentence().startswith("Machines at a reduced price did not last or did not come")
