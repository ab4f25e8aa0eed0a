"""A request that nobody could submit is told to its user, and its message is kept."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError

from backend.accounts.models import User
from backend.gateways.incoming_queue import IncomingQueue
from backend.videos import consuming
from backend.videos.consuming import apply_dead_request, apply_job_event, consume_once
from backend.videos.dead_requests import bury_request
from backend.videos.models import Analysis, DeadRequest
from contract.errors import FAILURES, ErrorCode
from contract.jobs import job_name
from contract.messages import AnalysisRequest
from contract.notices import JobFound, RequestRefused
from tests.backend.making import make_analysis
from tests.fix_aws import Queue

pytestmark = pytest.mark.django_db


def request_for(analysis: Analysis) -> str:
    return AnalysisRequest(analysis_id=analysis.pk, video_key="v", model="shapes").to_json()


def dead_queue(queue: Queue) -> IncomingQueue:
    return IncomingQueue(queue.dead_letter_url, wait_seconds=0)


def waiting(queue: Queue) -> tuple[int, int]:
    return Queue(client=queue.client, url=queue.dead_letter_url, dead_letter_url="").counts()


def test_analysis_fails_with_its_code_and_the_message_is_kept(owner: User, requests_queue: Queue):
    """Without this it would say `queued` for ever."""
    analysis = make_analysis(owner)
    requests_queue.bury(request_for(analysis))
    assert consume_once(dead_queue(requests_queue), apply_dead_request) == 1
    analysis.refresh_from_db()
    failure = FAILURES[ErrorCode.SUBMISSION_FAILED]
    assert (analysis.status, analysis.error_code) == ("failed", "submission_failed")
    assert (analysis.error_message, analysis.error_retryable) == (failure.sentence, True)
    assert analysis.finished_at is not None
    event, letter = analysis.events.get(), DeadRequest.objects.get()
    assert event.detail == {"code": "submission_failed", "message_id": letter.message_id}
    assert (letter.analysis, letter.body) == (analysis, request_for(analysis))
    assert waiting(requests_queue) == (0, 0)


def test_a_refusal_that_the_lambda_tells_counts_at_once(owner: User, job_events_queue: Queue):
    """It comes with the events of jobs, and says why."""
    analysis = make_analysis(owner)
    refused = RequestRefused(message_id="m", body=request_for(analysis), fault="no such definition")
    job_events_queue.send(refused.to_json())
    job_events_queue.send(refused.to_json())
    assert consume_once(IncomingQueue(job_events_queue.url, wait_seconds=0), apply_job_event) == 2
    analysis.refresh_from_db()
    assert (analysis.status, analysis.error_code) == ("failed", "submission_failed")
    assert analysis.events.get().detail["reason"] == "no such definition"
    kept = DeadRequest.objects.get()
    assert (kept.analysis, kept.body, kept.fault) == (analysis, refused.body, "no such definition")


def test_a_job_that_the_lambda_has_found_is_followed(owner: User, job_events_queue: Queue):
    """All its events were lost; now AWS Batch can be asked about it. What is known better stays."""
    unheard, known = make_analysis(owner), make_analysis(owner, status="submitted", batch_job_id="j-2")
    Analysis.objects.filter(pk=known.pk).update(batch_state="RUNNABLE")
    for analysis, job_id in ((unheard, "j-1"), (known, "j-2")):
        found = JobFound(analysis_id=analysis.pk, job_id=job_id, job_name=job_name(analysis.pk))
        job_events_queue.send(found.to_json())
    consume_once(IncomingQueue(job_events_queue.url, wait_seconds=0), apply_job_event)
    rows = Analysis.objects.in_bulk([unheard.pk, known.pk])
    assert (rows[unheard.pk].status, rows[unheard.pk].batch_job_id) == ("submitted", "j-1")
    assert rows[known.pk].batch_state == "RUNNABLE"


@pytest.mark.parametrize("detail", [None, {}, {"message_id": "m", "body": 7, "fault": "f"}])
def test_a_notice_that_cannot_be_read_is_left_to_the_dead_letters(job_events_queue: Queue, detail: Any):
    event = {"source": "framebatch.lambda", "detail-type": "Request Refused", "detail": detail}
    job_events_queue.send(json.dumps(event))
    consume_once(IncomingQueue(job_events_queue.url, wait_seconds=0), apply_job_event)
    assert job_events_queue.counts() == (0, 1)


@pytest.mark.parametrize("status", ["submitted", "running", "succeeded", "failed", "cancelled"])
def test_analysis_that_a_job_took_after_all_stays_as_it_is(owner: User, status: str):
    """SubmitJob may have worked although the Lambda was not told so; then the job decides."""
    analysis = make_analysis(owner, status=status, error_code="video_empty")
    before = Analysis.objects.filter(pk=analysis.pk).values().get()
    bury_request(message_id="m", body=request_for(analysis))
    assert Analysis.objects.filter(pk=analysis.pk).values().get() == before
    assert not analysis.events.exists()
    assert DeadRequest.objects.get().analysis == analysis


def test_message_that_comes_again_changes_nothing(owner: User):
    analysis = make_analysis(owner)
    for message_id in ("first", "first", "second"):
        bury_request(message_id=message_id, body=request_for(analysis))
    assert analysis.events.count() == 1
    assert sorted(DeadRequest.objects.values_list("message_id", flat=True)) == ["first", "second"]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("gibberish", id="not JSON"),
        pytest.param("[" * 100_000, id="nested too deeply"),
        pytest.param('["analysis_id"]', id="a list"),
        pytest.param("{}", id="no id"),
        pytest.param('{"analysis_id": 7}', id="id is a number"),
        pytest.param('{"analysis_id": "7"}', id="id is no UUID"),
        pytest.param(json.dumps({"analysis_id": str(uuid4())}), id="unknown analysis"),
    ],
)
def test_message_that_names_no_analysis_is_kept(owner: User, requests_queue: Queue, body: str):
    """Nobody waits for it, but somebody has to find out where it came from; its neighbours go through."""
    analysis = make_analysis(owner)
    requests_queue.bury(body)
    requests_queue.bury(request_for(analysis))
    assert consume_once(dead_queue(requests_queue), apply_dead_request) == 2
    analysis.refresh_from_db()
    assert analysis.status == "failed"
    assert DeadRequest.objects.get(analysis=None).body == body
    assert waiting(requests_queue) == (0, 0)


def test_request_of_a_version_nobody_reads_closes_its_analysis(owner: User):
    """A Lambda that is older than the backend refuses it, and its user must not wait either."""
    analysis = make_analysis(owner)
    bury_request(message_id="m", body=json.dumps({"version": 99, "analysis_id": str(analysis.pk)}))
    analysis.refresh_from_db()
    assert analysis.error_code == "submission_failed"


def test_message_stays_in_the_queue_until_it_is_stored(
    owner: User, requests_queue: Queue, monkeypatch: pytest.MonkeyPatch
):
    analysis = make_analysis(owner)
    requests_queue.bury(request_for(analysis))

    def fails(**values: Any) -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as outage:
        outage.setattr(consuming, "bury_request", fails)
        with pytest.raises(OperationalError):
            consume_once(dead_queue(requests_queue), apply_dead_request)
    assert waiting(requests_queue) == (1, 0)
    assert consume_once(dead_queue(requests_queue), apply_dead_request) == 1
    analysis.refresh_from_db()
    assert analysis.status == "failed"


def test_a_request_for_spot_counts_no_more_once_on_demand_was_asked_for(owner: User):
    """It may have been delivered too often although its job was made, and lie with the dead letters for days."""
    analysis = make_analysis(owner, on_demand=True)
    bury_request(message_id="m-1", body=request_for(analysis))
    analysis.refresh_from_db()
    assert (analysis.status, DeadRequest.objects.get().analysis) == ("queued", analysis)
    last = AnalysisRequest(analysis_id=analysis.pk, video_key="v", model="shapes", on_demand=True)
    bury_request(message_id="m-2", body=last.to_json())
    analysis.refresh_from_db()
    assert (analysis.status, analysis.error_code) == ("failed", "submission_failed")
