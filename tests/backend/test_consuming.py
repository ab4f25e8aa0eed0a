"""Job events out of a real queue into a real database: repeated, late, reordered, malformed."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.accounts.models import User
from backend.gateways.incoming_queue import IncomingQueue
from backend.videos import consuming
from backend.videos.consuming import apply_job_event, consume_once
from backend.videos.following import follow_job
from backend.videos.job_events import JobEvent
from backend.videos.models import Analysis
from backend.videos.reconciling import QUIET_AFTER, reconcile_once
from contract.errors import FAILURES, ErrorCode
from contract.statuses import AnalysisStatus
from tests.backend.making import attempt, job_event, make_analysis
from tests.fix_aws import Queue

pytestmark = pytest.mark.django_db


def consume_batch(queue: Queue) -> int:
    return consume_once(IncomingQueue(queue.url, wait_seconds=0), apply_job_event)


def consume_all(queue: Queue) -> None:
    while consume_batch(queue):
        pass


def follow(body: str) -> None:
    event = JobEvent.from_json(body)
    assert event is not None
    follow_job(event=event)


def test_queued_becomes_submitted_and_says_what_batch_says(owner: User, job_events_queue: Queue):
    analysis = make_analysis(owner)
    job_events_queue.send(
        job_event(analysis.pk, "SUBMITTED"),
        job_event(analysis.pk, "RUNNABLE", status_reason="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"),
    )
    consume_all(job_events_queue)
    analysis.refresh_from_db()
    assert analysis.status == "submitted"
    assert (analysis.batch_job_id, analysis.batch_state) == ("job-1", "RUNNABLE")
    assert analysis.batch_reason == "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
    assert analysis.submitted_at is not None
    history = [(event.status, event.source, event.detail["state"]) for event in analysis.events.order_by("id")]
    assert history == [("submitted", "batch", "SUBMITTED"), ("submitted", "batch", "RUNNABLE")]
    assert job_events_queue.counts() == (0, 0)


def test_running_is_left_to_the_job(owner: User):
    """The container says `running` when it holds the claim; that AWS started it is not the same."""
    analysis = make_analysis(owner)
    follow(job_event(analysis.pk, "RUNNING"))
    analysis.refresh_from_db()
    assert (analysis.status, analysis.batch_state) == ("submitted", "RUNNING")


def test_job_that_dies_without_a_word_is_closed(owner: User, job_events_queue: Queue):
    analysis = make_analysis(owner, status="running", claim_job_id="job-1", claim_attempt=1, batch_job_id="job-1")
    reason = "Host EC2 (instance i-0abc) terminated."
    job_events_queue.send(
        job_event(analysis.pk, "FAILED", attempts=[attempt(status_reason=reason)] * 3, status_reason=reason)
    )
    consume_all(job_events_queue)
    analysis.refresh_from_db()
    assert analysis.status == "failed"
    assert analysis.error_code == ErrorCode.INTERRUPTED
    assert analysis.error_message == FAILURES[ErrorCode.INTERRUPTED].sentence
    assert analysis.error_retryable is True
    assert analysis.finished_at is not None
    event = analysis.events.get()
    assert event.detail == {"job_id": "job-1", "state": "FAILED", "reason": reason, "code": "interrupted"}


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_what_is_over_stays_as_it_is(owner: User, status: str):
    analysis = make_analysis(owner, status=status, error_code="video_empty", batch_job_id="job-1")
    before = Analysis.objects.filter(pk=analysis.pk).values().get()
    for state in ("SUBMITTED", "RUNNING", "FAILED", "SUCCEEDED"):
        follow(job_event(analysis.pk, state))
    after = Analysis.objects.filter(pk=analysis.pk).values().get()
    of_batch = {"batch_state": "FAILED", "submitted_at": after["submitted_at"], "updated_at": after["updated_at"]}
    assert after == before | of_batch  # how the job itself ended is kept, once
    assert not analysis.events.exists()


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param("gibberish", id="not JSON"),
        pytest.param("[" * 100_000, id="nested too deeply"),
    ],
)
def test_neighbours_of_a_malformed_event_go_through(
    owner: User, job_events_queue: Queue, sqs_client: Any, poison: str
):
    """It stays, and the queue's redrive rule takes it to the dead-letter queue."""
    sqs_client.set_queue_attributes(QueueUrl=job_events_queue.url, Attributes={"VisibilityTimeout": "0"})
    first, second = make_analysis(owner), make_analysis(owner)
    job_events_queue.send(job_event(first.pk, "SUBMITTED"), poison, job_event(second.pk, "SUBMITTED"))
    consume_all(job_events_queue)
    assert set(Analysis.objects.values_list("status", flat=True)) == {"submitted"}
    dead = sqs_client.receive_message(QueueUrl=job_events_queue.dead_letter_url)["Messages"]
    assert [message["Body"] for message in dead] == [poison]


def test_fault_of_the_reader_does_not_hold_up_the_neighbours(
    owner: User, job_events_queue: Queue, monkeypatch: pytest.MonkeyPatch
):
    """Whatever an event does to the reader, its neighbours are applied and do not come again."""
    read = JobEvent.from_json
    first, second = make_analysis(owner), make_analysis(owner)

    def fails_for_poison(text: str) -> JobEvent | None:
        if text == "poison":
            raise MemoryError
        return read(text)

    monkeypatch.setattr(JobEvent, "from_json", fails_for_poison)
    job_events_queue.send(job_event(first.pk, "SUBMITTED"), "poison", job_event(second.pk, "SUBMITTED"))
    consume_batch(job_events_queue)
    assert set(Analysis.objects.values_list("status", flat=True)) == {"submitted"}
    assert job_events_queue.counts() == (0, 1)


def test_events_of_others_are_deleted(owner: User, job_events_queue: Queue):
    analysis = make_analysis(owner)
    job_events_queue.send(
        job_event(analysis.pk, "RUNNING", source="aws.ecs"),
        job_event(analysis.pk, "RUNNING", detail={"jobName": "nightly-backup", "jobId": "j"}),
        job_event("99999999-9999-9999-9999-999999999999", "RUNNING"),
    )
    consume_all(job_events_queue)
    analysis.refresh_from_db()
    assert analysis.status == "queued"
    assert job_events_queue.counts() == (0, 0)


def test_event_that_cannot_be_stored_comes_again(
    owner: User, job_events_queue: Queue, monkeypatch: pytest.MonkeyPatch
):
    """The database goes away between two messages of one batch."""
    first, second = make_analysis(owner), make_analysis(owner)
    job_events_queue.send(job_event(first.pk, "SUBMITTED"), job_event(second.pk, "SUBMITTED"))
    with monkeypatch.context() as outage:

        def fails_for_second(*, event: JobEvent) -> None:
            if event.analysis_id == second.pk:
                raise OperationalError("gone")
            follow_job(event=event)

        outage.setattr(consuming, "follow_job", fails_for_second)
        with pytest.raises(OperationalError):
            consume_batch(job_events_queue)
    second.refresh_from_db()
    assert second.status == "queued"
    assert job_events_queue.counts() == (1, 0)  # at once, not after the visibility timeout
    consume_all(job_events_queue)
    assert set(Analysis.objects.values_list("status", flat=True)) == {"submitted"}


def test_fault_that_one_event_meets_does_not_hold_up_its_neighbours(
    owner: User, job_events_queue: Queue, monkeypatch: pytest.MonkeyPatch
):
    first, second = make_analysis(owner), make_analysis(owner)

    def fails_for_first(*, event: JobEvent) -> None:
        if event.analysis_id == first.pk:
            raise RuntimeError("nobody thought of this")
        follow_job(event=event)

    monkeypatch.setattr(consuming, "follow_job", fails_for_first)
    job_events_queue.send(job_event(first.pk, "SUBMITTED"), job_event(second.pk, "SUBMITTED"))
    consume_batch(job_events_queue)
    second.refresh_from_db()
    assert second.status == "submitted"
    assert job_events_queue.counts() == (0, 1)


def test_nothing_is_received_while_the_database_is_away(job_events_queue: Queue, monkeypatch: pytest.MonkeyPatch):
    """Every receive counts, and too many of them send a good message to the dead-letter queue."""
    job_events_queue.send("anything")

    def fails() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(consuming.connection, "cursor", fails)
    with pytest.raises(OperationalError):
        consume_batch(job_events_queue)
    assert job_events_queue.counts() == (1, 0)


# One job whose first machine is taken away, and which then fails for good; and a second job of the same analysis,
# started by a second delivery of the message.
LOST = [attempt(status_reason="Host EC2 (instance i-0abc) terminated.")]
STORY = [
    ("job-1", "SUBMITTED", []),
    ("job-1", "RUNNABLE", []),
    ("job-1", "STARTING", []),
    ("job-1", "RUNNING", []),
    ("job-1", "RUNNABLE", LOST),
    ("job-1", "RUNNING", LOST),
]
END = ("job-1", "FAILED", [*LOST, attempt(exit_code=1)])
SECOND = [("job-2", "SUBMITTED", []), ("job-2", "RUNNING", []), ("job-2", "SUCCEEDED", [attempt(exit_code=0)])]


def said(analysis: Analysis, word: tuple[str, str, list[Any]]) -> str:
    job_id, state, attempts = word
    return job_event(analysis.pk, state, job_id=job_id, attempts=attempts)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), repeats=st.integers(1, 2), with_end=st.booleans())
def test_order_and_repetition_change_nothing_in_the_end(owner: User, seed: int, repeats: int, with_end: bool):
    """SQS promises neither order nor once; the job of the claim decides, and only forwards."""
    analysis = make_analysis(owner, status="running", claim_job_id="job-1", claim_attempt=1)
    words = (STORY + SECOND + ([END] if with_end else [])) * repeats
    random.Random(seed).shuffle(words)
    for word in words:
        follow(said(analysis, word))
        analysis.refresh_from_db()
        assert analysis.status in ("running", "failed")
    assert analysis.batch_job_id == "job-1"
    if with_end:
        assert (analysis.status, analysis.batch_state) == ("failed", "FAILED")
        assert analysis.error_code == ErrorCode.JOB_LOST
        assert analysis.events.filter(status="failed").count() == 1
    else:
        assert (analysis.status, analysis.batch_state, analysis.batch_attempts) == ("running", "RUNNING", 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations([*STORY, END]), claim_after=st.integers(0, 7), done=st.booleans())
def test_a_job_that_finishes_its_work_is_never_overruled(
    owner: User, order: list[Any], claim_after: int, done: bool
):
    """The job's own writes come between the events, at any point; its result outlives every late event."""
    analysis = make_analysis(owner)
    rows = Analysis.objects.filter(pk=analysis.pk)
    seen = []
    for position, word in enumerate([*order, None]):
        if position == claim_after:
            rows.filter(status__in=["queued", "submitted"]).update(status="running", claim_job_id="job-1")
            if done:
                rows.filter(status="running").update(status="succeeded")
        if word is not None:
            follow(said(analysis, word))
        seen.append(rows.get().status)
    allowed = [AnalysisStatus(status) for status in seen]
    terminal = next((i for i, status in enumerate(allowed) if status in ("succeeded", "failed")), None)
    assert terminal is not None
    assert len(set(allowed[terminal:])) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_an_analysis_whose_row_is_held_keeps_only_its_own_events_waiting(owner: User, job_events_queue: Queue):
    """A job holds it while it stores the results of a long video. Its neighbours would else be tried with it until
    they are dead letters, and AWS Batch would have to be asked about all of them.
    """
    held, free = make_analysis(owner, status="running"), make_analysis(owner)
    job_events_queue.send(
        job_event(held.pk, "RUNNING"), job_event(free.pk, "RUNNABLE"), job_event(free.pk, "STARTING")
    )
    with another_holds(held):
        assert consume_batch(job_events_queue) == 3
    free.refresh_from_db()
    assert (free.status, free.batch_state) == ("submitted", "STARTING")
    assert job_events_queue.counts() == (0, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
def test_an_analysis_whose_row_is_held_is_passed_over_by_who_asks_batch(owner: User):
    """And has its turn another time: those behind it have lost their events and wait for nothing else."""
    held, lost = (
        make_analysis(owner, status="running", claim_job_id=job_id, claim_attempt=1, batch_job_id=job_id)
        for job_id in ("job-1", "job-2")
    )
    Analysis.objects.update(updated_at=Now() - QUIET_AFTER * 2)
    Analysis.objects.filter(pk=held.pk).update(updated_at=Now() - QUIET_AFTER * 3)  # comes first
    details = [
        json.loads(job_event(analysis.pk, "FAILED", job_id=analysis.batch_job_id))["detail"]
        for analysis in (held, lost)
    ]
    with another_holds(held):
        assert reconcile_once(SimpleNamespace(describe=lambda job_ids: details)) == 2
    assert set(Analysis.objects.values_list("pk", "status")) == {(held.pk, "running"), (lost.pk, "failed")}


@contextmanager
def another_holds(analysis: Analysis) -> Iterator[None]:
    """As a job does, from a connection of its own; and this one waits less long than the worker's would."""
    parts = connection.settings_dict
    url = f"postgresql://{parts['USER']}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}"
    with connection.cursor() as cursor, psycopg.connect(url) as job:
        cursor.execute("SET lock_timeout = 100")
        job.execute("SELECT FROM videos_analysis WHERE id = %s FOR NO KEY UPDATE", [analysis.pk])
        yield
        cursor.execute("RESET lock_timeout")
