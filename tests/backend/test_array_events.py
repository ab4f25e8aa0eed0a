"""Events of array jobs: the parent tells how far it is, and a child why it failed."""

import pytest

from backend.videos.job_events import Blocked, Close, Ignore, JobEvent, Known, Move, Note, verdict
from contract.errors import ErrorCode
from contract.exit_codes import EXIT_KILLED
from contract.statuses import AnalysisStatus
from tests.backend.making import attempt, job_event
from tests.backend.test_job_events import ANALYSIS


def told(
    job_id: str,
    state: str,
    *,
    claim: str | None = "array",
    batch_state: str = "SUBMITTED",
    reason: str = "",
    **fields: object,
) -> object:
    event = JobEvent.from_json(job_event(ANALYSIS, state, job_id=job_id, **fields))
    assert event is not None
    known = Known(
        status=AnalysisStatus.RUNNING if claim else AnalysisStatus.SUBMITTED,
        on_demand=False,
        claim_job_id=claim,
        batch_job_id="array",
        batch_state=batch_state,
        batch_reason=reason,
        batch_attempts=0,
    )
    return verdict(event, known)


def test_the_parents_state_is_the_jobs_state():
    assert told("array", "PENDING", claim=None) == Note()
    assert told("array", "PENDING") == Note()


@pytest.mark.parametrize("state", ["RUNNABLE", "RUNNING", "SUCCEEDED"])
def test_what_a_child_does_is_not_the_jobs_state(state):
    assert isinstance(told("array:3", state), Ignore)


def test_a_child_that_failed_says_why():
    """The parent's own event only says that one of its children failed."""
    assert told("array:3", "FAILED", attempts=[attempt(exit_code=1)]) == Close(code=ErrorCode.JOB_LOST)
    assert told("array:3", "FAILED", attempts=[attempt(exit_code=EXIT_KILLED)]) == Move()


def test_a_parent_that_failed_moves_the_analysis_if_the_childs_event_was_lost():
    """What a job knows of its own failure it has stored itself, so that this one died without a word."""
    assert told("array", "FAILED", status_reason="Array Child Job failed") == Move()


def test_once_a_child_works_alone_only_its_failure_counts():
    """The others may still be stopped by Spot before they notice that they have lost the claim."""
    assert isinstance(told("array:5", "FAILED", claim="array:3"), Ignore)
    assert isinstance(told("array:3", "FAILED", claim="array:3"), Close)
    assert isinstance(told("array", "FAILED", claim="array:3"), Close)


def test_children_of_another_array_are_not_followed():
    assert isinstance(told("other:3", "FAILED"), Ignore)
    assert isinstance(told("other", "FAILED"), Ignore)


def test_why_a_child_cannot_be_placed_is_why_the_array_waits():
    """AWS Batch finds out at the head of a queue, where children stand and never their parent."""
    blocked = {"status_reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "batch_state": "PENDING"}
    assert told("array:0", "RUNNABLE", claim=None, **blocked) == Blocked()
    assert told("array:0", "RUNNABLE", claim="array", **blocked) == Blocked()
    assert isinstance(told("array:0", "RUNNABLE", claim=None, reason=blocked["status_reason"], **blocked), Ignore)
    assert isinstance(told("array:1", "RUNNABLE", claim=None, reason="CAPACITY:OTHER", **blocked), Ignore), "alike"
    assert told("array:1", "RUNNABLE", claim=None, reason="UNDETERMINED:x", **blocked) == Blocked()
    assert isinstance(told("other:0", "RUNNABLE", claim=None, **blocked), Ignore)
    assert isinstance(told("array:0", "RUNNABLE", claim="array:3", **blocked), Ignore)
