"""Whoever comes first wins, in any order: the owner, the job with its own SQL, AWS Batch, the dead letters."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.accounts.models import User
from backend.videos.cancelling import cancel_analysis
from backend.videos.dead_requests import bury_request
from backend.videos.errors import AnalysisOver
from backend.videos.following import follow_job
from backend.videos.job_events import JobEvent
from backend.videos.models import Analysis, OutboxMessage, OwedCall
from batch_job.claim import Claim, Token
from batch_job.database import Database
from batch_job.errors import ClaimLost, OutOfMemory
from batch_job.store import Store
from contract.messages import AnalysisRequest
from contract.results import DecodeReport, Summary
from contract.statuses import TERMINAL, TRANSITIONS, AnalysisStatus, Stage
from tests.backend.making import DECODE_REPORT, attempt, job_event, make_analysis

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]

REPORT = DecodeReport(**{**DECODE_REPORT, "skipped": ()})
SUMMARY = Summary(frames=0, detections=0, tracks=0, per_class={}, thumbnails=())
ATTEMPTS = [("job-1", 1), ("job-1", 2), ("job-2", 1), ("last", 1)]


@pytest.fixture
def database() -> Iterator[Database]:
    """The job's connection to the database of this test."""
    parts = connection.settings_dict
    database = Database(f"postgresql://{parts['USER']}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}")
    yield database
    database.close()


class World:
    """One analysis, and everybody who may change it."""

    def __init__(self, analysis: Analysis, database: Database) -> None:
        self.analysis = analysis
        self.claims = {
            (job_id, attempt): Claim(
                database,
                Token(analysis_id=analysis.pk, job_id=job_id, attempt=attempt, on_demand=job_id == "last"),
            )
            for job_id, attempt in ATTEMPTS
        }
        self.stores = {name: Store(database, claim) for name, claim in self.claims.items()}

    def cancel(self) -> None:
        cancel_analysis(analysis=Analysis.objects.get(pk=self.analysis.pk))

    def dead_letter(self) -> None:
        bury_request(message_id="m", body=json.dumps({"analysis_id": str(self.analysis.pk)}))

    def event(self, state: str, job_id: str) -> None:
        reclaimed, state = state == "RECLAIMED", state.replace("RECLAIMED", "FAILED")
        attempts = [attempt(status_reason="Host EC2 (instance i-0) terminated.")] if reclaimed else []
        event = JobEvent.from_json(
            job_event(self.analysis.pk, state, job_id=job_id, attempts=attempts, on_demand=job_id == "last")
        )
        assert event is not None
        follow_job(event=event)

    def claim(self, *who: Any) -> None:
        self.claims[who].take()

    def enter(self, *who: Any) -> None:
        self.claims[who].enter(Stage.ANALYSING)

    def finish(self, *who: Any) -> None:
        self.stores[who].finish(summary=SUMMARY, report=REPORT, seconds={})

    def fail(self, *who: Any) -> None:
        self.claims[who].fail(OutOfMemory())

    def row(self) -> dict[str, Any]:
        return Analysis.objects.filter(pk=self.analysis.pk).values().get()


STATES = ("SUBMITTED", "RUNNABLE", "RUNNING", "FAILED", "RECLAIMED", "SUCCEEDED")
ENDED = ("FAILED", "RECLAIMED", "SUCCEEDED")
JOB_WRITES = ("claim", "enter", "finish", "fail")
steps = st.one_of(
    st.just(("cancel",)),
    st.just(("dead_letter",)),
    st.tuples(st.just("event"), st.sampled_from(STATES), st.sampled_from(["job-1", "job-2", "last"])),
    st.tuples(st.sampled_from(JOB_WRITES), st.sampled_from(ATTEMPTS)).map(lambda step: (step[0], *step[1])),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(steps, min_size=1, max_size=12))
def test_what_ended_stays_ended_and_a_cancelled_analysis_is_written_to_by_nobody(
    owner: User, database: Database, order: list[Any]
):
    """Only transitions that exist happen, and what ends an analysis stands in its history once."""
    world = World(make_analysis(owner), database)
    request = AnalysisRequest(analysis_id=world.analysis.pk, video_key="v", model="shapes")
    OutboxMessage.objects.create(analysis=world.analysis, body=request.to_json())
    OwedCall.objects.all().delete()
    before, late = world.row(), set()
    for name, *who in order:
        refused = False
        try:
            getattr(world, name)(*who)
        except (ClaimLost, AnalysisOver):
            refused = True
        after = world.row()
        old, new = AnalysisStatus(before["status"]), AnalysisStatus(after["status"])
        if old in TERMINAL:
            # How the job itself ended may still be told.
            of_batch = (
                *("batch_state", "batch_reason", "batch_attempts"),
                *("runnable_since", "submitted_at", "updated_at"),
            )
            told = {column: after[column] for column in of_batch} if name == "event" else {}
            assert after == before | told
            assert name not in JOB_WRITES or refused
        else:
            assert new == old or new in TRANSITIONS[old]
            assert not refused or after == before
        if name == "event" and old in TERMINAL and who[0] not in ENDED:
            # It works for nobody, unless it is what the analysis succeeded with, which ends by itself.
            late |= {who[1]} - ({after["claim_job_id"]} if old == AnalysisStatus.SUCCEEDED else set())
        if name == "cancel":
            assert (new == AnalysisStatus.CANCELLED) != refused
        if new == AnalysisStatus.CANCELLED:
            known = {after["batch_job_id"], after["claim_job_id"]} - {"", None}
            if name == "event" and who[0] not in ENDED:
                known.add(who[1])
            assert known <= set(OwedCall.objects.values_list("subject", flat=True))
        elif not after["on_demand"]:
            assert late == set(OwedCall.objects.values_list("subject", flat=True))
        if after["on_demand"]:
            # Spot was given up, for one more request, and none of its jobs holds the analysis any more.
            again = world.analysis.messages.filter(body__contains='"on_demand":true').count()
            assert again == 1 or (again, new) == (0, AnalysisStatus.CANCELLED)
            assert after["claim_job_id"] in (None, "last")
        assert before["on_demand"] <= after["on_demand"]
        before = after
    endings = [event.status for event in world.analysis.events.all() if event.status in TERMINAL]
    assert endings == ([before["status"]] if before["status"] in TERMINAL else [])
