"""The job queues: every state a job goes through, and nothing else. No threads, no processes, no clock of its own.

The caller holds one lock around every method, passes the time (seconds), carries out the effects that `tick`
returns and reports what became of them with `started` and `ended`. Quotations are from the AWS Batch user
guide and API reference.
"""

import secrets
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from local.batch import rules
from local.batch.deadlines import deadlines_of
from local.batch.dependencies import Readiness, check_others, readiness
from local.batch.documents import job_detail
from local.batch.effects import Change, Effect, Launch, SendKill, SendStop
from local.batch.errors import ClientException
from local.batch.jobs import (
    CHILD_FAILED,
    DEPENDENCY_FAILED,
    ESSENTIAL_CONTAINER,
    FINISHED,
    PLACED,
    TASK_FAILED_TO_START,
    TIMED_OUT,
    Job,
    JobStatus,
    Stop,
    StopCause,
)
from local.batch.placement import Placement
from local.batch.registry import Registry
from local.batch.retry import AttemptEnd, is_retried
from local.batch.submission import child_of, new_job

STOP_GRACE_SECONDS = 30.0  # "If the container is still running after 30 seconds, a SIGKILL signal is sent [...]"


@dataclass(slots=True)
class Scheduler:
    """`time_scale` is how long one second of Batch's lasts here, for tests that cannot wait out a timeout."""

    registry: Registry
    time_scale: float = 1.0
    stop_grace_seconds: float = STOP_GRACE_SECONDS
    jobs: dict[str, Job] = field(default_factory=dict)
    named: dict[str, list[Job]] = field(default_factory=lambda: defaultdict(list))  # by name, in lower case
    children: dict[str, list[Job]] = field(default_factory=dict)
    changes: deque[Change] = field(default_factory=deque)
    placement: Placement = field(init=False)
    _effects: deque[Effect] = field(default_factory=deque)
    _open: dict[str, Job] = field(default_factory=dict)  # not finished
    _unready: dict[str, Job] = field(default_factory=dict)  # SUBMITTED or PENDING, parents of arrays among them
    _timed: dict[str, Job] = field(default_factory=dict)  # on a machine, or never to have one: what has deadlines
    _submitted: int = 0

    def __post_init__(self) -> None:
        self.placement = Placement(self.registry)

    # What the API asks for

    def submit(self, parameters: Mapping[str, Any], now: float) -> Job:
        """Raises ClientException."""
        queue = self.registry.queue(parameters["jobQueue"])
        definition = self.registry.definition(parameters["jobDefinition"])
        rules.check_submission(parameters, has_scheduling_policy=self.registry.policy_of(queue) is not None)
        if queue["state"] != "ENABLED":
            raise ClientException(f"Job queue {queue['jobQueueName']} is in DISABLED state: it accepts no jobs.")
        check_others(parameters, self.jobs)
        job_id = str(uuid.uuid4())
        self._submitted += 1
        job = new_job(
            parameters,
            definition=definition,
            queue=queue,
            job_id=job_id,
            arn=self.registry.place.arn(f"job/{job_id}"),
            created_at=_milliseconds(now),
            order=self._submitted,
        )
        self._add(job)
        return job

    def _add(self, job: Job) -> None:
        self.jobs[job.id] = self._open[job.id] = self._unready[job.id] = job
        self.named[job.name.lower()].append(job)

    def cancel(self, job_id: str, reason: str, now: float) -> None:
        """CancelJob: "Jobs that progressed to the STARTING or RUNNING state aren't canceled. However, the API
        operation still succeeds, even if no job is canceled." Raises ClientException for an unknown job.
        """
        for job in self._with_children(job_id):
            self._cancel(job, reason, now)

    def terminate(self, job_id: str, reason: str, now: float) -> None:
        """TerminateJob: STARTING and RUNNING jobs are terminated and go to FAILED, earlier ones are cancelled.

        Raises ClientException for an unknown job.
        """
        for job in self._with_children(job_id):
            if job.is_finished:
                continue
            job.is_terminated = True
            if job.status in PLACED:
                self._stop(job, StopCause.TERMINATED, reason, now)
            else:
                self._cancel(job, reason, now)

    def reclaim_host(self, job_id: str, now: float, *, grace_seconds: float | None = None) -> None:
        """What Spot does to a machine: the container is stopped, and its attempt ends without an exit code.

        Raises ClientException when the job is not on a machine.
        """
        job = self._known(job_id)
        if job.current is None:
            raise ClientException(f"Job {job_id} is {job.status.value}: it is on no host.")
        instance = f"i-0{secrets.token_hex(8)}"
        self._stop(job, StopCause.HOST_LOST, f"Host EC2 (instance {instance}) terminated.", now, grace_seconds)

    def _with_children(self, job_id: str) -> list[Job]:
        job = self._known(job_id)
        return [*self.children.get(job_id, ()), job]

    def _known(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise ClientException(f"Job {job_id} does not exist.")
        return self.jobs[job_id]

    def _cancel(self, job: Job, reason: str, now: float) -> None:
        if job.is_finished or job.status in PLACED:
            return
        job.is_cancelled = not job.is_terminated
        job.cancel_reason = reason
        # "A PENDING job is cancelled after all dependency jobs are completed", an array's parent after its
        # children.
        if job.status is not JobStatus.PENDING:
            self._enter(job, JobStatus.FAILED, now, reason)

    def _stop(
        self, job: Job, cause: StopCause, reason: str, now: float, grace_seconds: float | None = None
    ) -> None:
        if job.stop is None:
            grace = self.stop_grace_seconds * self.time_scale if grace_seconds is None else grace_seconds
            job.stop = Stop(cause, reason, kill_at=now + grace)
            self._effects.append(SendStop(job.id))

    # What the containers report

    def started(self, job_id: str, now: float) -> bool:
        """The container runs. True when it was asked to stop meanwhile."""
        job = self.jobs[job_id]
        assert job.current is not None
        job.current.started_at = job.started_at = _milliseconds(now)
        self._enter(job, JobStatus.RUNNING, now)
        return job.stop is not None

    def ended(self, job_id: str, now: float, *, exit_code: int | None, start_fault: str | None = None) -> None:
        """The container has ended, or could not be started for the reason given."""
        job = self.jobs[job_id]
        attempt, stop = job.current, job.stop
        assert attempt is not None
        attempt.stopped_at = _milliseconds(now)
        attempt.exit_code = None if stop and stop.cause is StopCause.HOST_LOST else exit_code
        attempt.reason = start_fault
        attempt.status_reason = (
            stop.reason if stop else (TASK_FAILED_TO_START if start_fault else ESSENTIAL_CONTAINER)
        )
        job.attempts.append(attempt)
        job.current = job.stop = None
        self.placement.release(job, now)
        end = AttemptEnd(exit_code=attempt.exit_code, reason=start_fault, status_reason=attempt.status_reason)
        # "Jobs that have been cancelled or terminated are not retried"; "If a job is terminated for exceeding the
        # timeout duration, it isn't retried."
        may_retry = stop is None or stop.cause is StopCause.HOST_LOST
        if exit_code == 0 and stop is None and start_fault is None:
            self._enter(job, JobStatus.SUCCEEDED, now, attempt.status_reason)
        elif may_retry and is_retried(job.retry_strategy, attempts_made=len(job.attempts), end=end):
            job.started_at = None
            self._enter(job, JobStatus.RUNNABLE, now)
        else:
            self._enter(job, JobStatus.FAILED, now, attempt.status_reason)

    # What time brings

    def tick(self, now: float) -> list[Effect]:
        """Everything that can happen at this moment. The effects must be carried out in order."""
        self._spawn_children(now)
        while self._follow_dependencies(now):
            pass
        self._place(now)
        self._watch_the_clock(now)
        effects = list(self._effects)
        self._effects.clear()
        return effects

    def next_deadline(self) -> float | None:
        """When `tick` has something to do even if nobody calls."""
        return min((moment for _, moment in self._deadlines()), default=None)

    def _deadlines(self) -> list[tuple[Job, float]]:
        return [
            (job, moment)
            for job in self._timed.values()
            for moment in deadlines_of(job, self.registry.queue(job.queue_arn), self.time_scale)
        ]

    def _spawn_children(self, now: float) -> None:
        parents = [job for job in self._unready.values() if job.is_array_parent and job.id not in self.children]
        for parent in parents:
            self.children[parent.id] = []
            for index in range(parent.array_size or 0):
                arn = self.registry.place.arn(f"job/{parent.id}:{index}")
                child = child_of(parent, index, arn=arn, created_at=_milliseconds(now))
                self._add(child)
                self.children[parent.id].append(child)
                self._tell(child, now)

    def _follow_dependencies(self, now: float) -> bool:
        moved = False
        for job in list(self._unready.values()):
            if job.is_array_parent:
                moved |= self._follow_children(job, now)
            else:
                moved |= self._follow_others(job, now)
        return moved

    def _follow_others(self, job: Job, now: float) -> bool:
        state = readiness(job, self.jobs)
        if state is Readiness.WAITS:
            if job.status is JobStatus.SUBMITTED:
                self._enter(job, JobStatus.PENDING, now)
            return False
        if job.cancel_reason is not None:
            self._enter(job, JobStatus.FAILED, now, job.cancel_reason)
        elif state is Readiness.HOPELESS:
            self._enter(job, JobStatus.FAILED, now, DEPENDENCY_FAILED)
        else:
            self._enter(job, JobStatus.RUNNABLE, now)
        return True

    def _follow_children(self, parent: Job, now: float) -> bool:
        """ "An array parent job is updated to PENDING when any child job is updated to RUNNABLE", and ends after
        its last child.
        """
        children = self.children[parent.id]
        if all(child.is_finished for child in children):
            failed = any(child.status is JobStatus.FAILED for child in children)
            parent.started_at = min((child.started_at for child in children if child.started_at), default=None)
            if parent.cancel_reason is not None:
                self._enter(parent, JobStatus.FAILED, now, parent.cancel_reason)
            elif failed:
                self._enter(parent, JobStatus.FAILED, now, CHILD_FAILED)
            else:
                self._enter(parent, JobStatus.SUCCEEDED, now)
            return True
        if parent.status is JobStatus.SUBMITTED and (
            parent.depends_on or any(child.status is not JobStatus.PENDING for child in children)
        ):
            self._enter(parent, JobStatus.PENDING, now)
        return False

    def _place(self, now: float) -> None:
        placed, blocked = self.placement.place(self._open.values(), now)
        for job, attempt in placed:
            job.current, job.blocked_since = attempt, None
            self._enter(job, JobStatus.STARTING, now)
            self._effects.append(Launch(job, attempt))
        for job, why in blocked:
            if job.status_reason != why:
                job.status_reason, job.blocked_since = why, now
                self._timed[job.id] = job
                self._tell(job, now, blocks_queue=True)

    def _watch_the_clock(self, now: float) -> None:
        for job, moment in self._deadlines():
            if moment <= now:
                self._deadline_passed(job, now)

    def _deadline_passed(self, job: Job, now: float) -> None:
        if job.stop is not None:
            job.stop = Stop(job.stop.cause, job.stop.reason, kill_at=None)
            self._effects.append(SendKill(job.id))
        elif job.status is JobStatus.RUNNING:
            self._stop(job, StopCause.TIMED_OUT, TIMED_OUT, now)
        elif job.status_reason is not None:
            reason = job.status_reason.partition(" ")[0]
            job.is_cancelled = True
            self._enter(
                job, JobStatus.FAILED, now, f"Canceled by JobStateTimeLimit action due to reason: {reason}"
            )

    def _enter(self, job: Job, status: JobStatus, now: float, reason: str | None = None) -> None:
        job.status, job.status_reason = status, reason
        if status is not JobStatus.PENDING:
            self._unready.pop(job.id, None)
        if status in PLACED:
            self._timed[job.id] = job
        else:
            self._timed.pop(job.id, None)
        if status is JobStatus.RUNNABLE:
            self.placement.add(job)
        if status is not JobStatus.RUNNABLE:
            job.blocked_since = None
        if status in FINISHED:
            job.stopped_at = _milliseconds(now)
            del self._open[job.id]
        self._tell(job, now)

    def _tell(self, job: Job, now: float, *, blocks_queue: bool = False) -> None:
        detail = job_detail(job, self.children.get(job.id, ()))
        self.changes.append(Change(detail, now, blocks_queue))


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
