"""A request of which nothing was heard is sent again, and at last closed; nobody waits for ever."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from backend.accounts.models import User
from backend.gateways.batch_jobs import BatchJobs
from backend.gateways.errors import BatchUnavailable
from backend.videos import worker
from backend.videos.models import Analysis, DeadRequest, OutboxMessage
from backend.videos.reconciling import QUIET_AFTER
from backend.videos.resending import AGAIN_AFTER, CLOSED_AFTER, resend_once
from contract.messages import AnalysisRequest
from tests.backend.making import make_analysis

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)


def sent(analysis: Analysis, ago: timedelta, *, made: timedelta | None = None, **columns: Any) -> OutboxMessage:
    body = AnalysisRequest(analysis_id=analysis.pk, video_key="v", model="shapes", **columns).to_json()
    message = OutboxMessage.objects.create(analysis=analysis, body=body, sent_at=timezone.now() - ago)
    OutboxMessage.objects.filter(pk=message.pk).update(created_at=timezone.now() - (made or ago))
    return message


def owed() -> list[int]:
    return list(OutboxMessage.objects.filter(sent_at=None).values_list("pk", flat=True))


def test_a_request_without_any_echo_is_sent_again(owner: User):
    """Its message, or all events of its job, may be lost. The Lambda finds the job, if there is one."""
    silent = sent(make_analysis(owner), AGAIN_AFTER + MINUTE)
    sent(make_analysis(owner), AGAIN_AFTER - MINUTE)
    for status in ("submitted", "running", "succeeded", "failed", "cancelled"):
        sent(make_analysis(owner, status=status), AGAIN_AFTER + MINUTE)
    assert resend_once() == 1
    assert owed() == [silent.pk]
    assert resend_once() == 0


@pytest.mark.django_db(transaction=True)  # a step gives its connection back
def test_it_is_sent_again_while_batch_is_away(owner: User, monkeypatch: pytest.MonkeyPatch):
    def away(self: BatchJobs, job_ids: Any) -> Any:
        raise BatchUnavailable

    monkeypatch.setattr(BatchJobs, "describe", away)
    lost = make_analysis(owner, status="running", batch_job_id="job-1")
    Analysis.objects.filter(pk=lost.pk).update(updated_at=timezone.now() - QUIET_AFTER)
    silent = sent(make_analysis(owner), AGAIN_AFTER + MINUTE)
    step, _ = worker.reconciler()
    with pytest.raises(BatchUnavailable):
        step()
    assert owed() == [silent.pk]


def test_only_the_last_request_counts(owner: User):
    """One that asked for a Spot machine is over once On-Demand was asked for."""
    analysis = make_analysis(owner, on_demand=True)
    sent(analysis, AGAIN_AFTER * 3)
    last = sent(analysis, AGAIN_AFTER + MINUTE, on_demand=True)
    assert resend_once() == 1
    assert owed() == [last.pk]


def test_after_a_day_it_has_failed_and_the_request_is_kept(owner: User):
    analysis = make_analysis(owner)
    message = sent(analysis, AGAIN_AFTER + MINUTE, made=CLOSED_AFTER + MINUTE)
    resend_once()
    analysis.refresh_from_db()
    assert (analysis.status, analysis.error_code) == ("failed", "submission_failed")
    assert DeadRequest.objects.get().body == message.body
    assert owed() == []
