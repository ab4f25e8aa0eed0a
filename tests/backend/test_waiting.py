"""A job that no machine takes goes to On-Demand, and at last to an end that its owner sees."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from backend.accounts.models import User
from backend.gateways.batch_jobs import BATCH
from backend.videos.following import follow_job
from backend.videos.job_events import JobEvent
from backend.videos.models import Analysis, OutboxMessage, OwedCall
from backend.videos.pulse import beat
from backend.videos.waiting import BLOCKED_ON_DEMAND, BLOCKED_ON_SPOT, IN_LINE, LONG, hurry_once
from contract.messages import AnalysisRequest
from tests.backend.making import job_event, make_analysis, make_video

pytestmark = pytest.mark.django_db

NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no instance of that type"
MINUTE = timedelta(minutes=1)


class Batch:
    """Knows one state of every job it is asked about."""

    def __init__(self, state: str, **children: int) -> None:
        """`children`: of an array, how many of its jobs are in which state."""
        self.state = state
        self.children = children

    def describe(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        assert len(job_ids) <= BATCH
        jobs = Analysis.objects.filter(batch_job_id__in=job_ids)
        return [
            json.loads(job_event(job.pk, self.state, job_id=job.batch_job_id, on_demand=job.on_demand))["detail"]
            | ({"arrayProperties": {"statusSummary": self.children}} if self.children else {})
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


ARRAY = {"status": "running", "batch_state": "PENDING", "claim_job_id": "job-1", "claim_attempt": 0}


@pytest.mark.parametrize(
    "children", [{"RUNNING": 1, "RUNNABLE": 7}, {"STARTING": 1, "RUNNABLE": 1}, {"SUCCEEDED": 2}]
)
def test_an_array_at_work_waits_for_nothing(owner: User, children: dict[str, int]):
    """AWS Batch leaves its parent PENDING until the last job has ended; one that draws a video writes nothing."""
    analysis = waiting_for(owner, IN_LINE + MINUTE, **ARRAY)
    Analysis.objects.update(updated_at=timezone.now() - IN_LINE - MINUTE)
    hurry_once(Batch("PENDING", **children))
    analysis.refresh_from_db()
    assert analysis.status == "running"


def test_an_array_of_which_no_job_gets_a_machine_waits_like_a_single_job(owner: User):
    """From the first event on; also when some of its jobs have been at work before."""
    waits, worked, at_work = (make_analysis(owner, status="running" if n else "queued") for n in range(3))
    for number, analysis in enumerate((waits, worked, at_work)):
        request = AnalysisRequest(analysis_id=analysis.pk, video_key="v", model="shapes")
        OutboxMessage.objects.create(analysis=analysis, body=request.to_json(), sent_at=Now())
        event = JobEvent.from_json(job_event(analysis.pk, "PENDING", job_id=f"job-{number}"))
        assert event is not None
        follow_job(event=event)
    long_ago = timezone.now() - IN_LINE - MINUTE
    Analysis.objects.exclude(runnable_since=None).update(runnable_since=long_ago, updated_at=long_ago)
    Analysis.objects.filter(pk=at_work.pk).update(updated_at=Now())  # with a chunk
    assert hurry_once(Batch("PENDING", RUNNABLE=2, SUCCEEDED=1)) == 2
    moved = Analysis.objects.filter(status="queued", on_demand=True)
    assert set(moved) == {waits, worked}


def test_an_array_that_cannot_be_placed_says_why_and_is_not_kept_waiting_for_hours(owner: User, api: Any):
    analysis = make_analysis(owner)
    for job_id, state, reason in (("job-1", "PENDING", None), ("job-1:0", "RUNNABLE", NO_CAPACITY)):
        event = JobEvent.from_json(job_event(analysis.pk, state, job_id=job_id, status_reason=reason))
        assert event is not None
        follow_job(event=event)
    analysis.refresh_from_db()
    assert (analysis.status, analysis.batch_job_id, analysis.batch_state) == ("submitted", "job-1", "PENDING")
    said = api.get(f"/api/analyses/{analysis.pk}").json()["waiting_reason"]
    assert said.startswith("All machines of the right kind are taken")
    long_ago = timezone.now() - BLOCKED_ON_SPOT - MINUTE
    Analysis.objects.update(runnable_since=long_ago, updated_at=long_ago)
    assert hurry_once(Batch("PENDING", RUNNABLE=3)) == 1


def test_what_an_array_waits_for_keeps_it_from_no_end(owner: User):
    """Its jobs stand at the heads of several queues, and AWS Batch says something else of each in turn."""
    analysis = waiting_for(owner, BLOCKED_ON_SPOT + MINUTE, batch_state="PENDING")
    Analysis.objects.update(updated_at=timezone.now() - BLOCKED_ON_SPOT - MINUTE)
    reasons = [NO_CAPACITY, "CAPACITY:SERVICE_LIMIT"] * 10
    for number, reason in enumerate(reasons):
        told = job_event(analysis.pk, "RUNNABLE", job_id=f"job-1:{number % 2}", status_reason=reason)
        event = JobEvent.from_json(told)
        assert event is not None
        follow_job(event=event)
    assert [entry.detail["reason"] for entry in analysis.events.all()] == [NO_CAPACITY]
    assert hurry_once(Batch("PENDING", RUNNABLE=2)) == 1


def test_more_jobs_wait_than_one_call_describes(owner: User):
    """Those that AWS Batch does not know would else stand before all others, for ever."""
    video = make_video(owner)
    for number in range(BATCH + 1):
        waiting_for(owner, IN_LINE + MINUTE, batch_job_id=f"job-{number}", video=video)
    assert hurry_once(Batch("RUNNABLE")) == BATCH + 1
    assert set(Analysis.objects.values_list("status", flat=True)) == {"queued"}


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        pytest.param({}, True, id="waits"),
        pytest.param(
            {"batch_state": "PENDING", "updated_at": "2026-01-01T00:00:00Z"},
            True,
            id="an array of which nobody hears",
        ),
        pytest.param({"batch_state": "PENDING"}, False, id="an array at work"),
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
