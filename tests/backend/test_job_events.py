"""What AWS Batch's words mean, without a database."""

import json
from typing import Any
from uuid import UUID

import pytest

from backend.videos.job_events import (
    Close,
    Ignore,
    JobEvent,
    JobEventInvalid,
    Known,
    Move,
    Note,
    Record,
    Stop,
    failure_of,
    verdict,
)
from contract.errors import ErrorCode
from contract.exit_codes import EXIT_GIVE_UP, EXIT_KILLED, EXIT_TRY_AGAIN
from contract.statuses import AnalysisStatus
from tests.backend.making import attempt, job_event

ANALYSIS = UUID("11111111-2222-3333-4444-555555555555")


def event(status: str, **fields: Any) -> JobEvent:
    read = JobEvent.from_json(job_event(ANALYSIS, status, **fields))
    assert read is not None
    return read


def known(**columns: Any) -> Known:
    unknown = {
        "status": AnalysisStatus.QUEUED,
        "on_demand": False,
        "claim_job_id": None,
        "batch_job_id": "",
        "batch_state": "",
        "batch_reason": "",
        "batch_attempts": 0,
    }
    return Known(**{**unknown, **columns})


def test_event_is_read():
    read = event("RUNNABLE", attempts=[attempt(exit_code=75)], status_reason="waiting")
    assert read.analysis_id == ANALYSIS
    assert (read.job_id, read.state, read.reason, read.ended_attempts) == ("job-1", "RUNNABLE", "waiting", 1)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="not JSON"),
        pytest.param("[" * 100_000, id="nested too deeply"),
        pytest.param("[]", id="a list"),
        pytest.param("{}", id="no detail-type"),
        pytest.param(job_event(ANALYSIS, "RUNNING", detail=None), id="no detail"),
        pytest.param(job_event(ANALYSIS, "RUNNING", detail={"jobName": 7}), id="name is a number"),
        pytest.param(job_event(ANALYSIS, "SLEEPING"), id="unknown status"),
        pytest.param(job_event(ANALYSIS, "RUNNING", job_id=""), id="no job id"),
        pytest.param(
            job_event(
                ANALYSIS,
                "RUNNING",
                detail={"jobName": f"analysis-{ANALYSIS}", "jobId": "j", "status": "RUNNING", "attempts": ["x"]},
            ),
            id="attempts of texts",
        ),
    ],
)
def test_malformed_event_is_refused(body: str):
    with pytest.raises(JobEventInvalid):
        JobEvent.from_json(body)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(job_event(ANALYSIS, "RUNNING", source="aws.ecs"), id="another service"),
        pytest.param(
            job_event(ANALYSIS, "RUNNING", **{"detail-type": "Batch Compute Environment State Change"}),
            id="another kind",
        ),
        pytest.param(
            job_event(ANALYSIS, "RUNNING", detail={"jobName": "nightly-backup", "jobId": "j"}), id="another's job"
        ),
        pytest.param(
            job_event(ANALYSIS, "RUNNING", detail={"jobName": "analysis-7", "jobId": "j"}),
            id="name without a uuid",
        ),
    ],
)
def test_event_that_is_none_of_ours_is_none(body: str):
    """It is deleted: the dead-letter queue is for what somebody has to look at."""
    assert JobEvent.from_json(body) is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param(
            {
                "attempts": [
                    attempt(exit_code=EXIT_KILLED, status_reason="Job attempt duration exceeded timeout")
                ],
                "status_reason": "Job attempt duration exceeded timeout",
            },
            ErrorCode.JOB_TIMED_OUT,
            id="over its time limit",
        ),
        pytest.param({"status_reason": "Dependent job failed"}, ErrorCode.JOB_NEVER_STARTED, id="never started"),
        pytest.param(
            {"status_reason": "Terminated: no machine within an hour"},
            ErrorCode.JOB_NEVER_STARTED,
            id="terminated while it waited",
        ),
        pytest.param(
            {
                "attempts": [attempt(status_reason="Host EC2 (instance i-0abc) terminated.")] * 3,
                "status_reason": "Host EC2 (instance i-0abc) terminated.",
            },
            ErrorCode.INTERRUPTED,
            id="Spot took every machine",
        ),
        pytest.param(
            {
                "attempts": [
                    attempt(
                        exit_code=EXIT_KILLED,
                        reason="OutOfMemoryError: Container killed due to memory usage",
                    )
                ]
            },
            ErrorCode.OUT_OF_MEMORY,
            id="out of memory",
        ),
        pytest.param(
            {
                "attempts": [
                    attempt(
                        exit_code=127, reason="CannotStartContainerError: ... executable file not found in $PATH"
                    )
                ]
            },
            ErrorCode.RUNTIME_MISMATCH,
            id="nothing mounted where Python should be",
        ),
        pytest.param(
            {"attempts": [attempt(exit_code=EXIT_KILLED)]}, ErrorCode.JOB_LOST, id="killed without a reason"
        ),
        pytest.param({"attempts": [attempt(exit_code=1)]}, ErrorCode.JOB_LOST, id="crashed"),
        pytest.param(
            {"attempts": [attempt(exit_code=EXIT_GIVE_UP)]}, ErrorCode.JOB_LOST, id="gave up without a word"
        ),
        pytest.param(
            {"attempts": [attempt(exit_code=EXIT_TRY_AGAIN)] * 3}, ErrorCode.JOB_LOST, id="tried again in vain"
        ),
        pytest.param(
            {
                "attempts": [
                    attempt(status_reason="Host EC2 (instance i-0abc) terminated."),
                    attempt(exit_code=1),
                ]
            },
            ErrorCode.JOB_LOST,
            id="only the last attempt counts",
        ),
        pytest.param(
            {"attempts": [attempt(exit_code=1)], "status_reason": "Terminated by an operator"},
            ErrorCode.JOB_LOST,
            id="terminated while it ran",
        ),
    ],
)
def test_failed_job_has_a_reason_a_user_can_be_told(fields: Any, code: ErrorCode):
    assert failure_of(event("FAILED", **fields)) == code


RUNNING = {"status": AnalysisStatus.RUNNING, "claim_job_id": "job-1", "batch_job_id": "job-1"}


@pytest.mark.parametrize(
    ("columns", "said", "expected"),
    [
        pytest.param({}, event("SUBMITTED"), Note, id="first word of a job"),
        pytest.param({}, event("RUNNING"), Note, id="earlier events were lost"),
        pytest.param({"batch_job_id": "job-1", "batch_state": "STARTING"}, event("RUNNING"), Note, id="forward"),
        pytest.param({"batch_job_id": "job-1", "batch_state": "STARTING"}, event("RUNNABLE"), Ignore, id="late"),
        pytest.param(
            {"batch_job_id": "job-1", "batch_state": "STARTING"}, event("STARTING"), Ignore, id="repeated"
        ),
        pytest.param(
            {**RUNNING, "batch_state": "RUNNING"},
            event("RUNNABLE", attempts=[attempt(exit_code=75)]),
            Note,
            id="next attempt goes back to RUNNABLE",
        ),
        pytest.param(
            {**RUNNING, "batch_state": "RUNNABLE", "batch_attempts": 1},
            event("RUNNING"),
            Ignore,
            id="late word of an earlier attempt",
        ),
        pytest.param({"batch_job_id": "job-2"}, event("RUNNING"), Ignore, id="second job, first one followed"),
        pytest.param({"batch_job_id": "job-2"}, event("FAILED"), Ignore, id="second job failed, no claim yet"),
        pytest.param(
            {**RUNNING, "batch_job_id": "job-2"}, event("RUNNING"), Note, id="the job with the claim is followed"
        ),
        pytest.param(
            {**RUNNING, "claim_job_id": "job-2"}, event("FAILED"), Ignore, id="another job has the claim"
        ),
        pytest.param(
            {**RUNNING, "claim_job_id": "job-2"}, event("SUCCEEDED"), Ignore, id="done, without the claim"
        ),
        pytest.param({}, event("FAILED"), Close(code=ErrorCode.JOB_NEVER_STARTED), id="failed, first word"),
        pytest.param(
            RUNNING,
            event("FAILED", attempts=[attempt(exit_code=1)]),
            Close(code=ErrorCode.JOB_LOST),
            id="failed with the claim",
        ),
        pytest.param(RUNNING, event("SUCCEEDED"), Close(code=ErrorCode.JOB_LOST), id="done without a result"),
        pytest.param(
            {**RUNNING, "status": AnalysisStatus.SUCCEEDED}, event("SUCCEEDED"), Record, id="done with a result"
        ),
        pytest.param(
            {**RUNNING, "status": AnalysisStatus.FAILED}, event("FAILED"), Record, id="failed and said so"
        ),
        pytest.param({"status": AnalysisStatus.CANCELLED}, event("RUNNING"), Stop, id="cancelled meanwhile"),
        pytest.param({"status": AnalysisStatus.CANCELLED}, event("SUCCEEDED"), Ignore, id="cancelled and over"),
        pytest.param(
            {"status": AnalysisStatus.FAILED}, event("RUNNABLE"), Stop, id="given up, and its job comes late"
        ),
        pytest.param(
            {**RUNNING, "status": AnalysisStatus.SUCCEEDED}, event("RUNNING"), Ignore, id="done, about to end"
        ),
        pytest.param(
            {**RUNNING, "status": AnalysisStatus.SUCCEEDED, "claim_job_id": "job-2"},
            event("RUNNABLE"),
            Stop,
            id="done by another job",
        ),
    ],
)
def test_verdict(columns: Any, said: JobEvent, expected: Any):
    decided = verdict(said, known(**columns))
    if isinstance(expected, type):
        assert isinstance(decided, expected)
    else:
        assert decided == expected


HOST_LOST = attempt(status_reason="Host EC2 (instance i-0abc) terminated.")
MOVED = {"status": AnalysisStatus.QUEUED, "on_demand": True}
ON_DEMAND = {**RUNNING, "on_demand": True, "claim_job_id": "job-2", "batch_job_id": "job-2"}


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(HOST_LOST, Move(), id="Spot took the machine"),
        pytest.param(attempt(exit_code=EXIT_TRY_AGAIN), Move(), id="a passing fault, or Spot's notice"),
        pytest.param(attempt(exit_code=EXIT_KILLED), Move(), id="killed"),
        pytest.param(attempt(reason="CannotPullContainerError: x"), Move(), id="image not pulled"),
        pytest.param(attempt(exit_code=1), Close(code=ErrorCode.JOB_LOST), id="a fault in the code"),
        pytest.param(
            attempt(exit_code=EXIT_TRY_AGAIN, status_reason="Ended by an operator"),
            Close(code=ErrorCode.JOB_LOST),
            id="ended by somebody",
        ),
        pytest.param(
            attempt(exit_code=EXIT_KILLED, status_reason="Job attempt duration exceeded timeout"),
            Close(code=ErrorCode.JOB_TIMED_OUT),
            id="over its time limit",
        ),
    ],
)
def test_the_last_attempt_is_made_on_demand_if_it_may_help(last: Any, expected: Any):
    """What AWS Batch would try again, had it attempts left, is tried once on a machine that nobody takes away."""
    assert verdict(event("FAILED", attempts=[HOST_LOST, last]), known(**RUNNING)) == expected


def test_after_the_last_attempt_nothing_follows():
    said = event("FAILED", job_id="job-2", attempts=[HOST_LOST], on_demand=True)
    assert verdict(said, known(**ON_DEMAND)) == Close(code=ErrorCode.INTERRUPTED)


@pytest.mark.parametrize("columns", [MOVED, ON_DEMAND])
def test_once_spot_is_given_up_its_jobs_do_not_count(columns: Any):
    """A late event must not close what goes on elsewhere, and a job that still waits on Spot is ended."""
    assert isinstance(verdict(event("FAILED", attempts=[HOST_LOST]), known(**columns)), Ignore)
    assert verdict(event("RUNNABLE"), known(**columns)) == Stop()


def test_why_a_job_waits_is_heard_when_batch_finds_out():
    """AWS Batch tells of a queue that is blocked while the state of its first job stays RUNNABLE."""
    waiting = {"status": AnalysisStatus.SUBMITTED, "batch_job_id": "job-1", "batch_state": "RUNNABLE"}
    blocked = event("RUNNABLE", status_reason="CAPACITY:x", **{"detail-type": "Batch Job Queue Blocked"})
    assert verdict(blocked, known(**waiting)) == Note()
    assert isinstance(verdict(blocked, known(**waiting, batch_reason="CAPACITY:x")), Ignore)
    assert isinstance(verdict(event("RUNNABLE"), known(**waiting, batch_reason="CAPACITY:x")), Ignore)


def test_events_of_aws_may_hold_more_than_we_read():
    """Readers ignore what they do not know."""
    document = json.loads(job_event(ANALYSIS, "RUNNING"))
    document["detail"]["newField"] = {"anything": [1]}
    assert JobEvent.from_json(json.dumps(document)) is not None


def test_the_end_of_a_job_is_kept_once_its_analysis_is_over():
    """Otherwise Batch's state would be RUNNING for ever beside a result."""
    over = {"status": AnalysisStatus.SUCCEEDED, "claim_job_id": "job-1", "batch_job_id": "job-1"}
    assert verdict(event("SUCCEEDED"), known(**over, batch_state="RUNNING")) == Record()
    assert isinstance(verdict(event("SUCCEEDED"), known(**over, batch_state="SUCCEEDED")), Ignore)
    assert isinstance(verdict(event("RUNNING"), known(**over, batch_state="STARTING")), Ignore)
    assert isinstance(verdict(event("FAILED", job_id="job-2"), known(**over, batch_state="RUNNING")), Ignore)
