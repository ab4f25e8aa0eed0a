"""AWS Batch and its machines: the scheduler of the stand-in as it is, and containers that die in every way.

Time is a number.
"""

import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from batch_job.claim import Claim, Token
from batch_job.database import Database
from batch_job.errors import ClaimLost, OutOfMemory, VideoUnreadable
from batch_job.store import Store
from contract.errors import ErrorCode
from contract.exit_codes import EXIT_DONE, EXIT_KILLED, EXIT_TRY_AGAIN
from contract.jobs import REQUEST_VARIABLE, analysis_id_of, is_on_demand
from contract.messages import AnalysisRequest
from lambda_sqs_to_batch.errors import SubmissionPostponed, SubmissionRefused
from local import aws
from local.batch.documents import job_detail
from local.batch.effects import Launch, SendKill, SendStop
from local.batch.events import event_of
from local.batch.jobs import Job, StopCause
from local.batch.registry import Registry
from local.batch.scheduler import Scheduler
from tests.flow.container import Container

MACHINES = 3  # of Spot, and as many On-Demand
SPOT, ON_DEMAND = "framebatch", "framebatch-on-demand"
CRASHED = 1  # the exit code of a process that nobody foresaw the end of
_ACCOUNT = aws.Account(
    requests_queue_url="", dead_requests_queue_url="", job_events_queue_url="", database_secret_arn="arn:aws:x"
)
_LOST = {ErrorCode.JOB_LOST, ErrorCode.INTERRUPTED}


class Machines:
    def __init__(self, dice: random.Random, database: Database, tell: Callable[[str], None]) -> None:
        """`tell` takes the events."""
        self.dice, self._database, self._tell = dice, database, tell
        self.now = 1_000_000.0
        self.away = False
        self.lost_answers = 0  # of SubmitJob: the job is made, and the Lambda hears nothing
        self.late_lists = 0  # of ListJobs: a job that exists is not in the answer yet
        self.refusals = 0  # of SubmitJob: this request will never be taken
        self.objects: set[str] = set()  # of the bucket
        self.finished: list[UUID] = []
        self.expected: dict[UUID, set[ErrorCode]] = defaultdict(set)  # what an analysis may now fail with
        self.doubled: dict[str, int] = defaultdict(int)  # how often a job of a name could not be found
        registry = Registry()
        self._environments = registry.environments
        session: Any = SimpleNamespace(client=lambda *_, **__: BatchApi(registry))
        self.definition = aws.create_batch(session, "", environment={}, account=_ACCOUNT, vcpus=1)
        self.scheduler = Scheduler(registry)
        self.containers: dict[str, Container] = {}
        self.zombies: list[Container] = []  # AWS Batch has given them up, and they go on
        for kind in (SPOT, ON_DEMAND):
            self.give(kind, MACHINES)

    def give(self, kind: str, machines: int) -> None:
        self._room(kind)["maxvCpus"] = machines

    def toggle(self, kind: str) -> None:
        """All machines of a kind stay away, or come back."""
        self.give(kind, 0 if self._room(kind)["maxvCpus"] else MACHINES)

    def _room(self, kind: str) -> dict[str, Any]:
        room: dict[str, Any] = self._environments[kind]["computeResources"]
        return room

    # As the Lambda and the worker see it

    def existing_job(self, *, queue: str, name: str) -> str | None:
        self._require()
        arn = self.scheduler.registry.queue(queue)["jobQueueArn"]
        parents = (job for job in self.scheduler.jobs.values() if job.index is None)
        found = next((job.id for job in parents if job.name == name and job.queue_arn == arn), None)
        if found is not None and self.late_lists:
            self.late_lists -= 1
            self.doubled[name] += 1
            return None
        return found

    def submit(self, arguments: Any) -> str:
        self._require()
        if self.refusals:
            self.refusals -= 1
            self.expected[UUID(arguments["tags"]["analysis_id"])].add(ErrorCode.SUBMISSION_FAILED)
            raise SubmissionRefused("ClientException: there is no such job definition")
        job = self.scheduler.submit(arguments, self.now)
        if self.lost_answers:
            self.lost_answers -= 1
            raise SubmissionPostponed("no answer")
        return job.id

    def describe(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        known = (self.scheduler.jobs[job_id] for job_id in job_ids if job_id in self.scheduler.jobs)
        return [job_detail(job, self.scheduler.children.get(job.id, ())) for job in known]

    def terminate(self, job_id: str) -> None:
        if job_id in self.scheduler.jobs:
            self.scheduler.terminate(job_id, "not needed", self.now)

    def _require(self) -> None:
        if self.away:
            raise SubmissionPostponed("throttled")

    # What time brings

    def tick(self, seconds: float = 1.0) -> int:
        self.now += seconds
        effects = self.scheduler.tick(self.now)
        for effect in effects:
            match effect:
                case Launch(job=job):
                    self._launch(job)
                case SendStop(job_id=job_id):
                    self._ask_to_stop(job_id)
                case SendKill(job_id=job_id):
                    self._end(job_id, EXIT_KILLED)
        while self.scheduler.changes:
            event = event_of(self.scheduler.changes.popleft(), self.scheduler.registry.place)
            self._tell(json.dumps(event))
        return len(effects)

    def _launch(self, job: Job) -> None:
        (body,) = (item["value"] for item in job.container["environment"] if item["name"] == REQUEST_VARIABLE)
        request = AnalysisRequest.from_json(body)
        token = Token(
            analysis_id=request.analysis_id,
            job_id=job.id,
            attempt=job.attempt_number,
            together=job.index is not None,
            on_demand=request.on_demand,
        )
        claim = Claim(self._database, token)
        self.containers[job.id] = Container(
            job,
            claim,
            Store(self._database, claim),
            objects=self.objects,
            inputs=self.dice.choice(("an image", "an image", "an image", "another image")),
            repeated=job.attempt_number > 1 or request.on_demand,
        )
        self.scheduler.started(job.id, self.now)

    def _ask_to_stop(self, job_id: str) -> None:
        if job_id not in self.containers:
            return
        stop = self.scheduler.jobs[job_id].stop
        if stop is not None and stop.cause is StopCause.TIMED_OUT:
            self._expect(self.containers[job_id], {ErrorCode.JOB_TIMED_OUT, ErrorCode.JOB_LOST})
        self.containers[job_id].told_to_stop = True

    # The containers

    def work(self) -> bool:
        """One step of one container. False where none is there."""
        container = self._one()
        if container is None:
            return False
        if container.told_to_stop:
            self._end(container.job.id, EXIT_TRY_AGAIN)
        elif not self._step(container):
            self._end(container.job.id, EXIT_DONE)
        return True

    def haunt(self) -> bool:
        """One step of a container that should be dead. False where none is there."""
        if not self.zombies:
            return False
        zombie = self.dice.choice(self.zombies)
        if not self._step(zombie):
            self.zombies.remove(zombie)
        return True

    def die(self, how: str) -> None:
        """A container ends before its next step."""
        container = self._one()
        if container is None:
            return
        self._expect(container, _LOST)
        job_id = container.job.id
        if how == "killed":
            self._end(job_id, EXIT_KILLED)
        elif how == "crashed":
            self._end(job_id, CRASHED)
        elif how == "machine":
            self.scheduler.reclaim_host(job_id, self.now, grace_seconds=0)
            self._end(job_id, EXIT_KILLED)
        elif how == "zombie":
            self.scheduler.reclaim_host(job_id, self.now, grace_seconds=0)
            self.zombies.append(self.containers.pop(job_id))
            self.scheduler.ended(job_id, self.now, exit_code=None)
        elif how == "not started":
            if not container.begun:
                self._expect(container, {ErrorCode.RUNTIME_MISMATCH})
                fault = "CannotStartContainerError: there is no such file"
                del self.containers[job_id]
                self.scheduler.ended(job_id, self.now, exit_code=None, start_fault=fault)
        else:
            error = OutOfMemory() if how == "passing fault" else VideoUnreadable()
            self._expect(container, {error.code})
            self._end(job_id, container.failed(error))

    def _step(self, container: Container) -> bool:
        before = container.finished
        try:
            goes_on = container.step()
        except ClaimLost:
            return False
        if container.finished and not before:
            self.finished.append(container.claim.token.analysis_id)
        return goes_on

    def _one(self) -> Container | None:
        return self.containers[self.dice.choice(sorted(self.containers))] if self.containers else None

    def _end(self, job_id: str, exit_code: int) -> None:
        if self.containers.pop(job_id, None) is not None:
            self.scheduler.ended(job_id, self.now, exit_code=exit_code)

    def _expect(self, container: Container, codes: set[ErrorCode]) -> None:
        self.expected[container.claim.token.analysis_id] |= codes

    # For those who judge

    def holders(self, analysis: Mapping[str, Any]) -> list[Container]:
        """The containers whose next write would be taken."""
        row = (analysis["claim_job_id"], analysis["claim_attempt"])
        containers = [*self.containers.values(), *self.zombies]
        tokens = ((container, container.claim) for container in containers)
        return [
            container
            for container, claim in tokens
            if claim.taken and claim.token.analysis_id == analysis["id"] and row == held_by(claim.token)
        ]

    def names(self) -> list[tuple[str, str]]:
        """Name and queue of each job that was ever made; an array is one."""
        return [(job.name, job.queue_arn) for job in self.scheduler.jobs.values() if job.index is None]

    def alive(self) -> dict[tuple[UUID, bool], list[Job]]:
        """Jobs that have not ended, by analysis and whether they are its last attempt."""
        found = defaultdict(list)
        for job in self.scheduler.jobs.values():
            analysis_id = analysis_id_of(job.name)
            if analysis_id is not None and job.index is None and not job.is_finished:
                found[analysis_id, is_on_demand(job.name)].append(job)
        return found


def held_by(token: Token) -> tuple[object, object]:
    values = token.values()
    return values["job_id"], values["attempt"]


class BatchApi:
    """What `local.aws` calls of boto3's client, without the way over HTTP."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def create_scheduling_policy(self, **parameters: Any) -> Any:
        return self._registry.create_policy(parameters)

    def create_compute_environment(self, **parameters: Any) -> Any:
        return self._registry.create_environment(parameters)

    def create_job_queue(self, **parameters: Any) -> Any:
        return self._registry.create_queue(parameters)

    def register_job_definition(self, **parameters: Any) -> Any:
        return self._registry.register_definition(parameters)
