"""Whatever happens in whatever order, the scheduler keeps its promises."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from local.batch.jobs import FINISHED, PLACED, Job, JobStatus, StopCause
from local.batch.registry import Registry
from local.batch.scheduler import Launch, Scheduler

VCPUS = 3
ALLOWED = {
    JobStatus.SUBMITTED: {JobStatus.PENDING, JobStatus.RUNNABLE, JobStatus.FAILED, JobStatus.SUCCEEDED},
    JobStatus.PENDING: {JobStatus.RUNNABLE, JobStatus.FAILED, JobStatus.SUCCEEDED},
    JobStatus.RUNNABLE: {JobStatus.STARTING, JobStatus.FAILED},
    JobStatus.STARTING: {JobStatus.RUNNING, JobStatus.RUNNABLE, JobStatus.FAILED},
    JobStatus.RUNNING: {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.RUNNABLE},
}


class SchedulerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        registry = Registry()
        environment = {
            "computeEnvironmentName": "ce",
            "type": "MANAGED",
            "computeResources": {
                "type": "SPOT",
                "maxvCpus": VCPUS,
                "instanceTypes": ["optimal"],
                "subnets": ["s"],
                "instanceRole": "r",
            },
        }
        registry.create_environment(environment)
        policy = registry.create_policy({"name": "p", "fairsharePolicy": {}})["arn"]
        order = [{"order": 1, "computeEnvironment": "ce"}]
        queue = {"jobQueueName": "q", "priority": 1, "computeEnvironmentOrder": order}
        registry.create_queue({**queue, "schedulingPolicyArn": policy})
        wanted = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
        container = {"image": "i", "resourceRequirements": wanted}
        registry.register_definition(
            {"jobDefinitionName": "d", "type": "container", "containerProperties": container}
        )
        self.scheduler = Scheduler(registry)
        self.starting: list[Job] = []
        self.running: list[Job] = []
        self.last: dict[str, str] = {}

    def any_job(self, number: int) -> Job:
        jobs = list(self.scheduler.jobs.values())
        return jobs[number % len(jobs)]

    @rule(
        share=st.sampled_from(["a", "b"]),
        attempts=st.integers(1, 3),
        vcpus=st.integers(1, VCPUS + 1),
        size=st.sampled_from([None, None, 2]),
        depends=st.booleans(),
        number=st.integers(0, 100),
    )
    def submit(self, share: str, attempts: int, vcpus: int, size: int | None, depends: bool, number: int) -> None:
        parameters: dict[str, Any] = {
            "jobName": "job",
            "jobQueue": "q",
            "jobDefinition": "d",
            "shareIdentifier": share,
            "retryStrategy": {"attempts": attempts},
            "timeout": {"attemptDurationSeconds": 60},
            "containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": str(vcpus)}]},
        }
        if size is not None:
            parameters["arrayProperties"] = {"size": size}
        if depends and self.scheduler.jobs:
            parameters["dependsOn"] = [{"jobId": self.any_job(number).id}]
        self.scheduler.submit(parameters, self.now)

    @rule(seconds=st.sampled_from([0.0, 1.0, 31.0, 61.0]))
    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.starting += [effect.job for effect in self.scheduler.tick(self.now) if isinstance(effect, Launch)]

    @precondition(lambda self: self.starting)
    @rule()
    def start(self) -> None:
        job = self.starting.pop(0)
        self.scheduler.started(job.id, self.now)
        self.running.append(job)

    @precondition(lambda self: self.starting)
    @rule()
    def fail_to_start(self) -> None:
        self.scheduler.ended(self.starting.pop(0).id, self.now, exit_code=None, start_fault="CannotPull")

    @precondition(lambda self: self.running)
    @rule(exit_code=st.sampled_from([0, 1, 137]), number=st.integers(0, 100))
    def end(self, exit_code: int, number: int) -> None:
        job = self.running.pop(number % len(self.running))
        stop, attempts = job.stop, len(job.attempts)
        self.scheduler.ended(job.id, self.now, exit_code=exit_code)
        assert len(job.attempts) == attempts + 1
        if stop is not None and stop.cause is not StopCause.HOST_LOST:
            assert job.status is JobStatus.FAILED, "stopped on purpose, so never retried"

    @precondition(lambda self: self.scheduler.jobs)
    @rule(number=st.integers(0, 100), how=st.sampled_from(["cancel", "terminate"]))
    def give_up(self, number: int, how: str) -> None:
        getattr(self.scheduler, how)(self.any_job(number).id, "enough", self.now)

    @precondition(lambda self: self.running)
    @rule(number=st.integers(0, 100))
    def lose_host(self, number: int) -> None:
        self.scheduler.reclaim_host(self.running[number % len(self.running)].id, self.now)

    @invariant()
    def no_more_is_placed_than_there_is_room(self) -> None:
        placed = [job for job in self.scheduler.jobs.values() if job.status in PLACED]
        assert sum(job.resources.vcpus for job in placed) <= VCPUS
        assert {job.id for job in placed} == set(self.scheduler.placement.held)

    @invariant()
    def attempts_stay_within_the_strategy(self) -> None:
        for job in self.scheduler.jobs.values():
            assert len(job.attempts) + (job.current is not None) <= job.retry_strategy["attempts"]

    @invariant()
    def events_tell_only_of_allowed_steps(self) -> None:
        while self.scheduler.changes:
            change = self.scheduler.changes.popleft()
            if change.blocks_queue:
                continue
            job_id, status = change.detail["jobId"], JobStatus(change.detail["status"])
            before = self.last.get(job_id, "SUBMITTED")
            assert JobStatus(before) not in FINISHED, "a finished job stays as it is"
            first_of_a_child = status is JobStatus.PENDING and ":" in job_id
            assert first_of_a_child or status in ALLOWED[JobStatus(before)]
            self.last[job_id] = status.value

    def teardown(self) -> None:
        """With every container ended, nothing can be left waiting but what never fits."""
        for _ in range(200):
            self.tick(0.0)
            while self.starting:
                self.start()
            if not self.running:
                break
            self.scheduler.ended(self.running.pop().id, self.now, exit_code=0)
        self.events_tell_only_of_allowed_steps()
        left = [job for job in self.scheduler.jobs.values() if not job.is_finished]
        blocked = any(job.status_reason and job.status is JobStatus.RUNNABLE for job in left)
        assert blocked or not left


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
