"""Failures that are not the video's are told of once, for whoever watches; what is cancelled or goes on is not."""

from typing import Any

import pytest

from backend.accounts.models import User
from backend.videos.dead_requests import bury_request
from backend.videos.following import follow_job
from backend.videos.job_events import JobEvent
from backend.videos.models import Analysis, OutboxMessage
from contract.exit_codes import EXIT_TRY_AGAIN
from contract.messages import AnalysisRequest
from tests.backend.making import attempt, job_event, make_analysis

pytestmark = pytest.mark.django_db

HOST_LOST = {"attempts": [attempt(status_reason="Host EC2 (instance i-0abc) terminated.")]}


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Any:
    def codes() -> list[str]:
        return [record.code for record in caplog.records if record.name == "backend.videos.failing"]

    return codes


def follow(analysis: Analysis, state: str, **given: Any) -> None:
    event = JobEvent.from_json(job_event(analysis.pk, state, **given))
    assert event is not None
    follow_job(event=event)


def started(owner: User, **columns: Any) -> Analysis:
    return make_analysis(
        owner, **{"status": "running", "batch_job_id": "job-1", "batch_state": "RUNNING"} | columns
    )


@pytest.mark.parametrize(
    ("code", "expected"),
    [("internal", ["internal"]), ("runtime_mismatch", ["runtime_mismatch"]), ("video_empty", [])],
)
def test_what_a_job_said_of_its_end_is_told_when_it_has_ended(owner, told, code, expected):
    analysis = started(owner, status="failed", error_code=code)
    for _ in range(2):  # events come again
        follow(analysis, "FAILED", attempts=[attempt(exit_code=65)])
    assert told() == expected


def test_job_that_ended_without_a_word_is_told_once(owner, told):
    analysis = started(owner)
    for _ in range(2):
        follow(analysis, "FAILED", attempts=[attempt(exit_code=1)])
    assert told() == ["job_lost"]


def test_machine_that_is_lost_on_spot_is_no_failure_and_on_demand_is_one(owner, told):
    analysis = started(owner)
    request = AnalysisRequest(analysis_id=analysis.pk, video_key="v", model="shapes", timeout_seconds=600)
    OutboxMessage.objects.create(analysis=analysis, body=request.to_json())
    follow(analysis, "FAILED", **HOST_LOST)
    assert told() == []
    follow(analysis, "FAILED", job_id="job-2", on_demand=True, **HOST_LOST)
    assert told() == ["interrupted"]


def test_cancelled_analysis_and_one_that_succeeded_are_no_failures(owner, told):
    for status in ("cancelled", "succeeded"):
        follow(started(owner, status=status), "FAILED", attempts=[attempt(exit_code=EXIT_TRY_AGAIN)])
    assert told() == []


def test_array_fails_once(owner, told):
    analysis = started(owner, batch_job_id="array", batch_state="PENDING")
    for job_id in ("array:0", "array:1", "array"):
        follow(analysis, "FAILED", job_id=job_id, attempts=[attempt(exit_code=1)])
    assert told() == ["job_lost"]


def test_request_that_nobody_takes_is_told_once(owner, told):
    analysis = make_analysis(owner)
    body = AnalysisRequest(analysis_id=analysis.pk, video_key="v", model="shapes", timeout_seconds=600).to_json()
    for _ in range(2):
        bury_request(message_id="message-1", body=body)
    assert told() == ["submission_failed"]
