"""The whole path in one process, with the product's own code at every stop.

Backend services, outbox relay, consumers, reconciler and owed calls work on a real PostgreSQL; the Lambda's
submitter and the scheduler of the Batch stand-in are called as they are; containers claim and finish with the SQL
of the job. Only SQS is a list, whose messages come late, in any order and more than once, and time is a number.
"""

import contextlib
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from backend.accounts.models import User
from backend.gateways.errors import QueueUnavailable
from backend.gateways.incoming_queue import ReceivedMessage
from backend.plans.models import LedgerEntry
from backend.videos.cancelling import cancel_analysis
from backend.videos.consuming import apply_dead_request, apply_job_event
from backend.videos.errors import AnalysisOver
from backend.videos.models import Analysis, OwedCall
from backend.videos.owed_calls import settle_once
from backend.videos.reconciling import reconcile_once
from backend.videos.relay import relay_once
from backend.videos.resending import resend_once
from backend.videos.services import request_analysis
from batch_job.claim import Claim, Token
from batch_job.database import Database
from batch_job.errors import AnalysisError, ClaimLost, OutOfMemory
from batch_job.store import Store
from contract.exit_codes import EXIT_DONE, EXIT_GIVE_UP, EXIT_KILLED, EXIT_TRY_AGAIN
from contract.jobs import REQUEST_VARIABLE, is_last_attempt
from contract.messages import AnalysisRequest
from contract.results import DecodeReport, Summary
from contract.statuses import Stage
from lambda_sqs_to_batch.breaker import CircuitBreaker
from lambda_sqs_to_batch.errors import SubmissionPostponed
from lambda_sqs_to_batch.logs import EventLog
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submitting import Submitter
from local import aws
from local.batch.documents import job_detail
from local.batch.effects import Launch, SendKill, SendStop
from local.batch.events import event_of
from local.batch.jobs import Job
from local.batch.registry import Registry
from local.batch.scheduler import Scheduler
from tests.backend.making import DECODE_REPORT, make_video

MAX_RECEIVES = 5
MACHINES = 3  # of Spot, and as many On-Demand
REPORT = DecodeReport(**{**DECODE_REPORT, "skipped": ()})
SUMMARY = Summary(frames=0, detections=0, tracks=0, per_class={}, thumbnails=())
_ACCOUNT = aws.Account(
    requests_queue_url="", dead_requests_queue_url="", job_events_queue_url="", database_secret_arn="arn:aws:x"
)


@dataclass(slots=True)
class Message:
    body: str
    id: str = field(default_factory=lambda: str(uuid4()))
    receives: int = 0


@dataclass(slots=True)
class Container:
    """One attempt of a job, between two of its steps."""

    job: Job
    claim: Claim
    store: Store
    steps: int = 0
    told_to_stop: bool = False


class World:
    def __init__(self, database: Database, dice: random.Random) -> None:
        self.dice = dice
        self.database = database
        self.owner = User.objects.create(username=uuid4().hex, plan=dice.choice(["enterprise", "pro"]))
        self.video = make_video(self.owner)
        self.now = 1_000_000.0
        self.requests: list[Message] = []
        self.dead: list[Message] = []
        self.events: list[Message] = []
        self.delivered = 0  # messages and events, each time one is handed over
        self.sqs_away = self.batch_away = False
        self.lost_answers = 0  # of SubmitJob: the job is made, and the Lambda hears nothing
        self.finished: list[UUID] = []
        registry = Registry()
        session: Any = SimpleNamespace(client=lambda *_, **__: _BatchApi(registry))
        definition = aws.create_batch(session, "", environment={}, account=_ACCOUNT, vcpus=1)
        for environment in registry.environments.values():
            environment["computeResources"]["maxvCpus"] = MACHINES
        self.scheduler = Scheduler(registry)
        self.containers: dict[str, Container] = {}
        variables = {
            "JOB_QUEUE": aws.JOB_QUEUE,
            "JOB_QUEUE_ENTERPRISE": aws.ENTERPRISE_QUEUE,
            "JOB_QUEUE_ON_DEMAND": aws.ON_DEMAND_QUEUE,
            "JOB_DEFINITION": definition,
            "JOB_EVENTS_QUEUE_URL": "events",
        }
        self.submitter = Submitter(
            settings=Settings.from_environ(variables),
            batch=self,
            notices=SimpleNamespace(send=lambda notice: self.events.append(Message(notice.to_json()))),
            breaker=CircuitBreaker(lambda: self.now),
        )

    # What users do

    def ask(self, key: str | None = None) -> UUID:
        requested = request_analysis(
            owner=self.owner, video_id=self.video.pk, model=None, options={}, idempotency_key=key
        )
        return requested.analysis.pk

    def cancel_one(self) -> None:
        analysis = self.dice.choice(list(Analysis.objects.filter(owner=self.owner)))
        with contextlib.suppress(AnalysisOver):
            cancel_analysis(analysis=analysis)

    # The worker

    def relay(self) -> int:
        try:
            return relay_once(self)  # type: ignore[arg-type]
        except QueueUnavailable:
            return 0

    def consume(self, *, twice: bool = False, lost: bool = False) -> int:
        """Some events, in any order; some stay for another time, although they were applied, or are lost."""
        chosen = self.dice.sample(self.events, self.dice.randint(0, min(8, len(self.events))))
        for message in chosen:
            if not lost:
                self._apply(apply_job_event, message)
            if lost or not twice:
                self.events.remove(message)
        return len(chosen)

    def bury(self) -> None:
        for message in self.dead:
            self._apply(apply_dead_request, message)
        self.dead.clear()

    def reconcile(self) -> None:
        """The tests have set its patience to none."""
        reconcile_once(self)
        resend_once()

    def settle(self) -> int:
        return settle_once({OwedCall.Kind.TERMINATE_JOB.value: self._terminate})

    def _apply(self, apply: Callable[[ReceivedMessage], bool], message: Message) -> None:
        self.delivered += 1
        assert apply(ReceivedMessage(message_id=message.id, receipt="", body=message.body))

    # SQS, as the relay and the event source mapping see it

    def send(self, bodies: Sequence[str]) -> Mapping[int, str]:
        if self.sqs_away and self.dice.random() < 0.5:
            raise QueueUnavailable("SendMessageBatch")
        refused = {n: "InternalError" for n in range(len(bodies)) if self.sqs_away and self.dice.random() < 0.3}
        self.requests += [Message(body) for n, body in enumerate(bodies) if n not in refused]
        if self.sqs_away:  # they have arrived, but the answer has not
            raise QueueUnavailable("SendMessageBatch")
        return refused

    def deliver(self, *, twice: bool = False) -> int:
        """A batch for the Lambda, in any order; with `twice`, SQS forgets that it was deleted."""
        chosen = self.dice.sample(self.requests, self.dice.randint(0, min(10, len(self.requests))))
        for message in [message for message in chosen if message.receives >= MAX_RECEIVES]:
            chosen.remove(message)
            self.requests.remove(message)
            self.dead.append(message)
        records = [{"messageId": message.id, "body": message.body} for message in chosen]
        answer = self.submitter.submit_all(records, EventLog())
        left = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message in chosen:
            self.delivered += 1
            message.receives += 1
            if message.id not in left and not twice:
                self.requests.remove(message)
        return len(chosen)

    # AWS Batch, as the Lambda, the worker and the machines see it

    def existing_job(self, *, queue: str, name: str) -> str | None:
        self._require_batch()
        arn = self.scheduler.registry.queue(queue)["jobQueueArn"]
        found = (job.id for job in self.scheduler.jobs.values() if job.name == name and job.queue_arn == arn)
        return next(found, None)

    def submit(self, arguments: Any) -> str:
        self._require_batch()
        job = self.scheduler.submit(arguments, self.now)
        if self.lost_answers:
            self.lost_answers -= 1
            raise SubmissionPostponed("no answer")
        return job.id

    def describe(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        jobs = self.scheduler.jobs
        return [job_detail(jobs[job_id]) for job_id in job_ids if job_id in jobs]

    def _require_batch(self) -> None:
        if self.batch_away:
            raise SubmissionPostponed("throttled")

    def _terminate(self, job_id: str) -> None:
        if job_id in self.scheduler.jobs:
            self.scheduler.terminate(job_id, "not needed", self.now)

    def tick(self, seconds: float = 1.0) -> int:
        """Time passes on the machines; what AWS Batch does is told by events."""
        self.now += seconds
        effects = self.scheduler.tick(self.now)
        for effect in effects:
            match effect:
                case Launch(job=job):
                    self._launch(job)
                case SendStop(job_id=job_id):
                    if job_id in self.containers:
                        self.containers[job_id].told_to_stop = True
                case SendKill(job_id=job_id):
                    self._end(job_id, EXIT_KILLED)
        while self.scheduler.changes:
            event = event_of(self.scheduler.changes.popleft(), self.scheduler.registry.place)
            self.events.append(Message(json.dumps(event)))
        return len(effects)

    def _launch(self, job: Job) -> None:
        (body,) = (item["value"] for item in job.container["environment"] if item["name"] == REQUEST_VARIABLE)
        request = AnalysisRequest.from_json(body)
        claim = Claim(
            self.database,
            Token(
                analysis_id=request.analysis_id,
                job_id=job.id,
                attempt=job.attempt_number,
                on_demand=request.on_demand,
            ),
        )
        self.containers[job.id] = Container(job=job, claim=claim, store=Store(self.database, claim))
        self.scheduler.started(job.id, self.now)

    def _end(self, job_id: str, exit_code: int) -> None:
        if self.containers.pop(job_id, None) is not None:
            self.scheduler.ended(job_id, self.now, exit_code=exit_code)

    # The containers

    def work(self) -> bool:
        """One step of one container: claim, analyse, finish, exit. False where none is there."""
        if not self.containers:
            return False
        container = self.containers[self.dice.choice(sorted(self.containers))]
        if container.told_to_stop:
            self._end(container.job.id, EXIT_TRY_AGAIN)
            return True
        try:
            if container.steps == 0:
                container.claim.take()
            elif container.steps == 1:
                container.claim.enter(Stage.ANALYSING)
            elif container.steps == 2:
                container.store.finish(summary=SUMMARY, report=REPORT, seconds={})
                self.finished.append(container.claim.token.analysis_id)
            else:
                self._end(container.job.id, EXIT_DONE)
        except ClaimLost:
            self._end(container.job.id, EXIT_DONE)
        container.steps += 1
        return True

    def die(self, how: str) -> None:
        """A container ends before its next step, or its machine is taken away and it does not notice in time."""
        if not self.containers:
            return
        container = self.containers[self.dice.choice(sorted(self.containers))]
        if how == "killed":
            self._end(container.job.id, EXIT_KILLED)
        elif how == "machine":
            self.scheduler.reclaim_host(container.job.id, self.now, grace_seconds=0)
            self._end(container.job.id, EXIT_KILLED)
        elif how == "zombie":  # AWS Batch has given it up, and it makes one more step
            self.scheduler.reclaim_host(container.job.id, self.now, grace_seconds=0)
            self.scheduler.ended(container.job.id, self.now, exit_code=None)
            self.tick()  # its successor may be there before
            self._step_of_a_zombie(container)
        else:
            self._end(container.job.id, self._failed(container, OutOfMemory()))

    def _failed(self, container: Container, error: AnalysisError) -> int:
        """As `batch_job.main` does."""
        token = container.claim.token
        if not is_last_attempt(token.attempt, on_demand=token.on_demand):
            return EXIT_TRY_AGAIN
        try:
            if not container.claim.taken:
                container.claim.take()
            container.claim.fail(error)
        except ClaimLost:
            return EXIT_DONE
        return EXIT_GIVE_UP

    def _step_of_a_zombie(self, container: Container) -> None:
        if self.containers.get(container.job.id) is container:
            del self.containers[container.job.id]
        try:
            container.store.finish(summary=SUMMARY, report=REPORT, seconds={})
            self.finished.append(container.claim.token.analysis_id)
        except ClaimLost:
            pass

    # In the end

    def come_to_rest(self) -> None:
        """Everything is there again, and nothing more is asked for."""
        self.sqs_away = self.batch_away = False
        self.lost_answers = 0
        for _ in range(2000):
            self.relay()
            self.deliver()
            self.bury()
            self.tick(30.0)
            self.work()
            self.consume()
            while self.settle():
                pass
            if not (self.requests or self.events or self.containers):
                self.tick(30.0)
                if not (self.events or self.containers):
                    self.reconcile()
                    if not Analysis.objects.filter(owner=self.owner, status__in=OPEN).exists():
                        return
        waiting = Analysis.objects.filter(owner=self.owner, status__in=OPEN)
        raise AssertionError(f"it does not end: {waiting}")

    def check(self) -> None:
        """No double job, no double charge, and every analysis is over and right."""
        names = [(job.name, job.queue_arn) for job in self.scheduler.jobs.values()]
        assert len(names) == len(set(names))
        assert len(self.finished) == len(set(self.finished))
        for analysis in Analysis.objects.filter(owner=self.owner):
            assert analysis.status in ("succeeded", "failed", "cancelled")
            assert (analysis.status == "succeeded") == (analysis.pk in self.finished)
            assert analysis.status != "failed" or analysis.error_code
            endings = [event.status for event in analysis.events.all() if event.status not in (*OPEN,)]
            assert endings == [analysis.status]
            entries = LedgerEntry.objects.filter(analysis_id=analysis.pk).order_by("id")
            closing = "settlement" if analysis.status == "succeeded" else "refund"
            assert [entry.kind for entry in entries] == ["reservation", closing]
            assert analysis.status == "succeeded" or sum(entry.credits for entry in entries) == 0
        ledger = LedgerEntry.objects.filter(user=self.owner).order_by("id")
        assert sum(entry.credits for entry in ledger) == ledger.last().balance  # type: ignore[union-attr]


OPEN = ("queued", "submitted", "running")


class _BatchApi:
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
