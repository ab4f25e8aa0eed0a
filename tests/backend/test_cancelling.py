"""An owner stops an analysis: at once for the user, and for the machines as soon as they can be reached."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.functions import Now
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.gateways.errors import BatchUnavailable
from backend.videos import cancelling
from backend.videos.cancelling import cancel_analysis
from backend.videos.following import follow_job
from backend.videos.job_events import JobEvent
from backend.videos.models import Analysis, OutboxMessage, OwedCall
from backend.videos.owed_calls import MOST_ATTEMPTS, owe, settle_once
from backend.videos.pulse import beat
from tests.backend.making import job_event, make_analysis, make_video

pytestmark = pytest.mark.django_db
TERMINATE = OwedCall.Kind.TERMINATE_JOB


def cancel(api: APIClient, analysis: Analysis) -> Any:
    return api.post(f"/api/analyses/{analysis.pk}/cancel", {}, format="json")


def follow(body: str) -> None:
    event = JobEvent.from_json(body)
    assert event is not None
    follow_job(event=event)


def owed() -> list[str]:
    return sorted(OwedCall.objects.values_list("subject", flat=True))


class Batch:
    """Ends jobs, or is away."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.away: set[str] = set()

    def terminate(self, job_id: str) -> None:
        if job_id in self.away:
            raise BatchUnavailable("TerminateJob: throttled")
        self.ended.append(job_id)

    def settle(self) -> None:
        while settle_once({TERMINATE: self.terminate}):
            pass


def test_request_that_was_not_sent_is_taken_back(api: APIClient, owner: User):
    document = api.post("/api/analyses", {"video": str(make_video(owner).pk)}, format="json").json()
    answer = api.post(document["links"]["cancel"], {}, format="json")
    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["finished_at"] is not None
    assert "cancel" not in answer.json()["links"]
    assert "Retry-After" not in answer
    assert not OutboxMessage.objects.exists()
    assert owed() == []
    history = Analysis.objects.get().events.order_by("id").values_list("status", "source")
    assert list(history) == [("queued", "backend"), ("cancelled", "backend")]


@pytest.mark.parametrize(
    ("columns", "jobs"),
    [
        pytest.param({"status": "queued"}, [], id="queued"),
        pytest.param({"status": "submitted", "batch_job_id": "j1"}, ["j1"], id="submitted"),
        pytest.param({"status": "running", "claim_job_id": "j1", "batch_job_id": "j1"}, ["j1"], id="running"),
        pytest.param({"status": "running", "claim_job_id": "j1"}, ["j1"], id="no event yet"),
        pytest.param(
            {"status": "running", "claim_job_id": "j2", "batch_job_id": "j1"}, ["j1", "j2"], id="two jobs"
        ),
        pytest.param(
            {"status": "running", "claim_job_id": "j1:3", "batch_job_id": "j1"}, ["j1"], id="one of an array"
        ),
    ],
)
def test_jobs_that_are_known_are_ended(api: APIClient, owner: User, columns: Any, jobs: list[str]):
    analysis = make_analysis(owner, stage="analysing", **columns)
    assert cancel(api, analysis).json()["stage"] == ""
    batch = Batch()
    batch.settle()
    assert batch.ended == jobs


def test_job_that_becomes_known_later_is_ended_too(api: APIClient, owner: User):
    """The message was on its way; and a second delivery may bring a second job."""
    analysis = make_analysis(owner)
    cancel(api, analysis)
    for job_id in ("j1", "j2", "array"):
        for state in ("SUBMITTED", "RUNNABLE"):
            follow(job_event(analysis.pk, state, job_id=job_id))
    follow(job_event(analysis.pk, "STARTING", job_id="array:7"))
    follow(job_event(analysis.pk, "FAILED", job_id="j3"))
    batch = Batch()
    batch.settle()
    assert sorted(batch.ended) == ["array", "j1", "j2"]
    follow(job_event(analysis.pk, "FAILED", job_id="j1", status_reason="cancelled by its owner"))
    analysis.refresh_from_db()
    assert (analysis.status, analysis.error_code) == ("cancelled", "")
    batch.settle()
    assert len(batch.ended) == 3


def test_cancelling_twice_is_harmless(api: APIClient, owner: User):
    analysis = make_analysis(owner, status="submitted", batch_job_id="j1")
    first, again = cancel(api, analysis), cancel(api, analysis)
    assert again.status_code == 200
    assert again.json() == first.json()
    assert analysis.events.count() == 1
    assert owed() == ["j1"]


@pytest.mark.parametrize("status", ["succeeded", "failed"])
def test_what_is_over_cannot_be_cancelled(api: APIClient, owner: User, status: str):
    analysis = make_analysis(owner, status=status, batch_job_id="j1")
    before = Analysis.objects.filter(pk=analysis.pk).values().get()
    answer = cancel(api, analysis)
    assert answer.status_code == 409
    assert answer.json()["code"] == "analysis_over"
    assert answer.json()["errors"] == {"status": [f"It is {status}."]}
    assert Analysis.objects.filter(pk=analysis.pk).values().get() == before
    assert owed() == []


def test_batch_away_is_tried_again_and_holds_up_nobody_else(owner: User):
    """The user was told that it is cancelled; a machine that goes on is money."""
    batch = Batch()
    batch.away = {"j1"}
    owe(TERMINATE, "j1")
    owe(TERMINATE, "j2")
    batch.settle()
    assert batch.ended == ["j2"]
    row = OwedCall.objects.get(subject="j1")
    assert (row.attempts, row.last_error, row.done_at) == (1, "TerminateJob: throttled", None)
    assert row.not_before > row.created_at
    batch.away = set()
    batch.settle()
    assert batch.ended == ["j2"]  # not at once
    OwedCall.objects.update(not_before=Now())
    batch.settle()
    assert batch.ended == ["j2", "j1"]
    batch.settle()
    assert batch.ended == ["j2", "j1"]  # once


def test_call_that_meets_an_unforeseen_fault_holds_up_nobody_else(owner: User):
    owe(TERMINATE, "odd")
    owe(TERMINATE, "j2")
    ended: list[str] = []

    def terminate(job_id: str) -> None:
        if job_id == "odd":
            Analysis.objects.raw("SELECT nonsense")[0]  # breaks the transaction that it runs in
        ended.append(job_id)

    while settle_once({TERMINATE: terminate}):
        pass
    assert ended == ["j2"]
    assert "nonsense" in OwedCall.objects.get(subject="odd").last_error


def test_call_that_never_succeeds_ends_and_says_so(owner: User, caplog: pytest.LogCaptureFixture):
    """It is not tried for ever, somebody is told, and that person can have it tried again."""
    batch = Batch()
    batch.away = {"job-1"}
    owe(TERMINATE, "job-1")
    OwedCall.objects.update(attempts=MOST_ATTEMPTS - 1)
    batch.settle()
    call = OwedCall.objects.get()
    assert (call.done_at, call.attempts) == (None, MOST_ATTEMPTS)
    assert "owed call given up" in caplog.text
    beat()
    assert next(line for line in caplog.records if line.msg == "worker is alive").owed_calls_given_up == 1
    assert "owed calls stay given up" in caplog.text
    OwedCall.objects.update(not_before=Now())
    batch.away = set()
    batch.settle()
    assert batch.ended == []
    call_command("retry_owed_calls", stdout=StringIO())
    batch.settle()
    assert batch.ended == ["job-1"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_a_job_that_stores_its_results_for_long_does_not_keep_the_user_waiting(
    api: APIClient, owner: User, monkeypatch: pytest.MonkeyPatch
):
    """It holds the row meanwhile. The worker cancels afterwards what has not succeeded by then."""
    monkeypatch.setattr(cancelling, "PATIENCE_MILLISECONDS", 100)
    stopped, finished = (make_analysis(owner, status="running") for _ in range(2))
    with held(stopped):
        answer = cancel(api, stopped)
    with held(finished, then="succeeded"):
        cancel(api, finished)
    assert (answer.status_code, answer.json()["status"]) == (200, "running")
    while settle_once({OwedCall.Kind.CANCEL_ANALYSIS: cancelling.cancel_owed}):
        pass
    states = [Analysis.objects.get(pk=analysis.pk).status for analysis in (stopped, finished)]
    assert states == ["cancelled", "succeeded"]
    assert not OwedCall.objects.filter(done_at=None).exists()


@contextmanager
def held(analysis: Analysis, *, then: str = "running") -> Iterator[None]:
    """Another connection holds the row, as a job does while it finishes."""
    taken, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Analysis.objects.filter(pk=analysis.pk).update(status=then)
            taken.set()
            let_go.wait(60)
        connection.close()

    job = threading.Thread(target=hold)
    job.start()
    taken.wait(60)
    yield
    let_go.set()
    job.join()


@pytest.mark.django_db(transaction=True)
def test_message_that_is_being_sent_does_not_keep_the_user_waiting(owner: User):
    """The relay holds its row while it talks to SQS; the job that comes of it is ended by its events."""
    analysis = make_analysis(owner)
    OutboxMessage.objects.create(analysis=analysis, body="{}")
    sending, cancelled = threading.Event(), threading.Event()

    def relay() -> None:
        try:
            with transaction.atomic():
                list(OutboxMessage.objects.select_for_update())
                sending.set()
                cancelled.wait(60)
        finally:
            connection.close()

    thread = threading.Thread(target=relay)
    thread.start()
    sending.wait(60)
    cancel_analysis(analysis=analysis)
    cancelled.set()
    thread.join()
    assert Analysis.objects.get().status == "cancelled"
    assert OutboxMessage.objects.count() == 1


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_retry_is_a_new_analysis_that_asks_for_the_same(api: APIClient, owner: User, status: str):
    """The old one keeps its error, its history and its address."""
    asked = {"video": str(make_video(owner).pk), "options": {"confidence": 0.4, "classes": ["star"]}}
    first = api.post("/api/analyses", asked, format="json").json()
    Analysis.objects.update(status=status, error_code="interrupted")
    before = Analysis.objects.filter(pk=first["id"]).values().get()
    link = api.get(first["links"]["self"]).json()["links"]["retry"]
    answer = api.post(link, {}, format="json")
    assert answer.status_code == 202
    document = answer.json()
    assert answer["Location"] == document["links"]["self"] != first["links"]["self"]
    assert document["retry_of"] == first["id"]
    assert [document[name] for name in ("video", "model", "options", "status", "error")] == [
        *(first[name] for name in ("video", "model", "options")),
        "queued",
        None,
    ]
    assert OutboxMessage.objects.filter(analysis=document["id"]).count() == 1
    assert Analysis.objects.filter(pk=first["id"]).values().get() == before


def test_retry_under_one_key_is_one_analysis(api: APIClient, owner: User):
    """A button that is pressed twice."""
    analysis = make_analysis(owner, status="failed")
    path = f"/api/analyses/{analysis.pk}/retry"
    first, again = (api.post(path, {}, format="json", HTTP_IDEMPOTENCY_KEY="k") for _ in range(2))
    assert again.json()["id"] == first.json()["id"]
    assert again["Idempotency-Replayed"] == "true"
    assert Analysis.objects.count() == 2


@pytest.mark.parametrize("status", ["queued", "submitted", "running", "succeeded"])
def test_only_what_failed_or_was_cancelled_is_tried_again(api: APIClient, owner: User, status: str):
    analysis = make_analysis(owner, status=status)
    answer = api.post(f"/api/analyses/{analysis.pk}/retry", {}, format="json")
    assert answer.status_code == 409
    assert answer.json()["code"] == "analysis_not_retryable"
    assert "retry" not in api.get(f"/api/analyses/{analysis.pk}").json()["links"]
    assert Analysis.objects.count() == 1


def test_retry_with_a_model_that_has_gone_names_it(api: APIClient, owner: User):
    analysis = make_analysis(owner, status="failed", model="yolo-of-old")
    answer = api.post(f"/api/analyses/{analysis.pk}/retry", {}, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["model"]
