"""How a job is cancelled, terminated and timed out. Quotations: AWS Batch user guide and API reference."""

from typing import Any

import pytest

from contract.jobs import RETRY_STRATEGY
from local.batch.errors import ClientException
from local.batch.jobs import TIMED_OUT, JobStatus

S = JobStatus


def test_cancel_ends_a_job_that_has_not_started(desk: Any) -> None:
    """ "Jobs that are in a SUBMITTED, PENDING, or RUNNABLE state are cancelled and the job status is updated
    to FAILED."
    """
    job = desk.submit()
    desk.scheduler.cancel(job.id, "no longer wanted", desk.now)
    assert (job.status, job.status_reason, job.is_cancelled) == (S.FAILED, "no longer wanted", True)


def test_cancel_leaves_a_running_job_alone(desk: Any) -> None:
    """ "Jobs that progressed to the STARTING or RUNNING state aren't cancelled. However, the API operation
    still succeeds, even if no job is cancelled."
    """
    job = desk.submit()
    desk.tick()
    desk.scheduler.cancel(job.id, "too late", desk.now)
    desk.tick()
    assert (job.status, desk.stops) == (S.RUNNING, [])


def test_cancel_of_a_pending_job_waits_for_what_it_depends_on(desk: Any) -> None:
    """ "A PENDING job is cancelled after all dependency jobs are completed." """
    first = desk.submit("first")
    second = desk.submit("second", dependsOn=[{"jobId": first.id}])
    desk.tick()
    desk.scheduler.cancel(second.id, "not wanted", desk.now)
    desk.tick()
    assert second.status is S.PENDING
    desk.end(first)
    assert (second.status, second.status_reason) == (S.FAILED, "not wanted")


def test_terminate_stops_a_running_job_for_good(desk: Any) -> None:
    """ "Jobs that are in the STARTING or RUNNING state are terminated, which causes them to transition to
    FAILED"; "Jobs that have been cancelled or terminated are not retried."
    """
    job = desk.submit(retryStrategy={"attempts": 3})
    desk.tick()
    desk.scheduler.terminate(job.id, "user asked", desk.now)
    desk.tick()
    assert desk.stops == [job.id]
    desk.end(job, 143)
    assert (job.status, job.status_reason, len(job.attempts)) == (S.FAILED, "user asked", 1)
    assert job.is_terminated


def test_a_container_that_does_not_stop_is_killed_after_thirty_seconds(desk: Any) -> None:
    """ "If the container is still running after 30 seconds, a SIGKILL signal is sent [...]" """
    job = desk.submit()
    desk.tick()
    desk.scheduler.terminate(job.id, "user asked", desk.now)
    desk.tick(29.9)
    assert desk.kills == []
    desk.tick(0.2)
    desk.tick(60)
    assert desk.kills == [job.id]


def test_terminate_cancels_what_has_not_started(desk: Any) -> None:
    """ "Jobs that have not progressed to the STARTING state are cancelled." """
    job = desk.submit()
    desk.scheduler.terminate(job.id, "user asked", desk.now)
    assert (job.status, desk.stops) == (S.FAILED, [])


def test_a_timeout_ends_the_job_without_retry(desk: Any) -> None:
    """ "When this number of seconds has passed following the job attempt's startedAt timestamp, AWS Batch
    terminates the job"; "If a job is terminated for exceeding the timeout duration, it isn't retried."
    """
    job = desk.submit(timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 3})
    desk.tick()
    desk.tick(59.9)
    assert desk.stops == []
    desk.tick(0.2)
    desk.tick()
    assert desk.stops == [job.id]
    desk.end(job, 143)
    assert (job.status, job.status_reason, len(job.attempts)) == (S.FAILED, TIMED_OUT, 1)


def test_each_attempt_has_the_whole_timeout(desk: Any) -> None:
    """ "[...] the timeout countdown is started over for the new attempt." """
    job = desk.submit(timeout={"attemptDurationSeconds": 60}, retryStrategy={"attempts": 2})
    desk.tick()
    desk.end(job, 1, after=50)
    desk.tick(50)
    assert (job.status, desk.stops) == (S.RUNNING, [])


def test_a_lost_host_leaves_no_exit_code_and_is_retried(desk: Any) -> None:
    """onStatusReason `Host EC2*` is the rule for Spot in AWS's own examples."""
    job = desk.submit(retryStrategy=RETRY_STRATEGY)
    desk.tick()
    desk.scheduler.reclaim_host(job.id, desk.now)
    desk.tick()
    desk.end(job, 137)
    lost = job.attempts[0]
    assert lost.exit_code is None
    assert lost.status_reason.startswith("Host EC2 (instance i-0")
    assert lost.status_reason.endswith(") terminated.")
    assert (job.status, job.current.number) == (S.RUNNING, 2)


def test_only_a_job_on_a_host_can_lose_it(desk: Any) -> None:
    with pytest.raises(ClientException):
        desk.scheduler.reclaim_host(desk.submit().id, desk.now)


def test_a_container_that_cannot_start_fails_the_attempt(desk: Any) -> None:
    """onReason `CannotPull*`, onStatusReason "Task failed to start": both in AWS's examples."""
    job = desk.submit()
    desk.tick()
    desk.end(job, None, fault="CannotPullContainerError: no such image")
    assert (job.status, job.status_reason) == (S.FAILED, "Task failed to start")
    assert job.attempts[0].reason == "CannotPullContainerError: no such image"
