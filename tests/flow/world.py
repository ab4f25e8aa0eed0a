"""The whole path in one process, with the product's own code at every stop.

Backend services, outbox relay, consumers, reconciler and owed calls work on a real PostgreSQL; the Lambda's
submitter and the scheduler of the Batch stand-in are called as they are; containers claim, store and finish with
the SQL of the job. SQS is three lists (sqs.py), time is a number (machines.py), S3 is a set of keys.
"""

import contextlib
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID, uuid4

from django.db.models.functions import Now
from django.utils import timezone

from backend.accounts.models import User
from backend.gateways.errors import QueueUnavailable, StorageUnavailable
from backend.gateways.incoming_queue import ReceivedMessage
from backend.plans.errors import CreditsInsufficient, TooManyAnalyses
from backend.videos.cancelling import cancel_analysis, cancel_owed
from backend.videos.consuming import apply_dead_request, apply_job_event
from backend.videos.deleting import delete_analysis, delete_video, remove_analysis, remove_video
from backend.videos.errors import AnalysisNotOver, AnalysisNotRetryable, AnalysisOver, RequestRefused, VideoInUse
from backend.videos.models import Analysis, DeadRequest, OutboxMessage, OwedCall, Video
from backend.videos.owed_calls import settle_once
from backend.videos.reconciling import reconcile_once
from backend.videos.redriving import NothingToRedrive, redrive
from backend.videos.relay import relay_once
from backend.videos.resending import CLOSED_AFTER, resend_once
from backend.videos.services import request_analysis, retry_analysis
from backend.videos.waiting import hurry_once
from backend.webhooks.models import Endpoint, EventType
from backend.webhooks.services import create_webhook
from batch_job.database import Database
from contract.errors import ErrorCode
from contract.messages import AnalysisRequest
from contract.plans import Plan
from contract.statuses import TERMINAL
from lambda_sqs_to_batch.breaker import CircuitBreaker
from lambda_sqs_to_batch.logs import EventLog
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submitting import Submitter
from local import aws
from tests.backend.making import FACTS, make_video
from tests.flow.machines import MACHINES, ON_DEMAND, SPOT, Machines
from tests.flow.sqs import Message, Queues

LONG = {**FACTS, "duration_us": 3_000_000_000, "frames": 90_000}  # an array of three jobs
OVER = [status.value for status in TERMINAL]
REFUSED = (TooManyAnalyses, CreditsInsufficient, AnalysisNotRetryable, AnalysisNotOver, AnalysisOver, VideoInUse)
TURNS = 600  # more than any world has needed to come to rest


class World:
    def __init__(self, database: Database, dice: random.Random) -> None:
        clear()
        self.dice = dice
        self.queues = Queues(dice)
        self.machines = Machines(dice, database, self.queues.tell)
        self.owners: dict[Plan, User] = {}
        self.bucket_away = False
        self.look: Callable[[], None] = lambda: None  # of whoever watches
        self.retried: Counter[UUID] = Counter()  # by their owners
        self.redriven: Counter[UUID] = Counter()  # by operators
        self.cancelled: set[UUID] = set()  # asked for by their owners
        self.deleted: set[UUID] = set()  # analyses and videos, by their owners
        self.kinds: dict[UUID, str] = {}  # short or long
        variables = {
            "JOB_QUEUE": aws.JOB_QUEUE,
            "JOB_QUEUE_ENTERPRISE": aws.ENTERPRISE_QUEUE,
            "JOB_QUEUE_ON_DEMAND": aws.ON_DEMAND_QUEUE,
            "JOB_QUEUE_ON_DEMAND_ENTERPRISE": aws.ON_DEMAND_ENTERPRISE_QUEUE,
            "JOB_DEFINITION": self.machines.definition,
            "JOB_EVENTS_QUEUE_URL": "events",
        }
        self.submitter = Submitter(
            settings=Settings.from_environ(variables),
            batch=self.machines,
            notices=SimpleNamespace(send=lambda notice: self.queues.tell(notice.to_json())),
            breaker=CircuitBreaker(lambda: self.machines.now),
        )

    # What users and operators do

    def ask(self, key: str | None = None, *, plan: Plan | None = None, long: bool | None = None) -> UUID | None:
        owner = self.owner(plan or self.dice.choice(list(Plan)))
        kind = (
            "long" if owner.plan != Plan.FREE and (self.dice.random() < 0.4 if long is None else long) else "short"
        )
        video = self._video(owner, kind)
        with contextlib.suppress(*REFUSED):
            requested = request_analysis(
                owner=owner,
                video_id=video.pk,
                model=None,
                options={},
                idempotency_key=f"{key}-{kind}" if key else None,
            )
            self.kinds[requested.analysis.pk] = kind
            return requested.analysis.pk
        return None

    def owner(self, plan: Plan) -> User:
        """With webhooks: one wants to know of everything, one of failures, and one is disabled."""
        if plan not in self.owners:
            owner = self.owners[plan] = User.objects.create(username=uuid4().hex, plan=plan.value)
            for events in (EventType.values, [EventType.FAILED.value], EventType.values):
                endpoint = create_webhook(owner=owner, url="https://hooks.example/", events=events)
            Endpoint.objects.filter(pk=endpoint.pk).update(enabled=False)
        return self.owners[plan]

    def cancel_one(self) -> None:
        analysis = self._one()
        if analysis is not None:
            with contextlib.suppress(*REFUSED):
                cancel_analysis(analysis=analysis)
                self.cancelled.add(analysis.pk)

    def retry_one(self) -> None:
        analysis = self._one(status__in=["failed", "cancelled"])
        if analysis is not None:
            with contextlib.suppress(*REFUSED):
                made = retry_analysis(owner=analysis.owner, analysis=analysis).analysis
                self.kinds[made.pk] = self.kinds[analysis.pk]
                self.retried[analysis.pk] += 1

    def delete_one(self) -> None:
        analysis = self._one(status__in=OVER)
        if analysis is not None:
            delete_analysis(analysis=analysis)
            self.deleted.add(analysis.pk)

    def get_rid_of_one(self) -> None:
        """So fast that its containers may be at work."""
        analysis = self._one(status="running")
        if analysis is not None:
            cancel_analysis(analysis=analysis)
            self.cancelled.add(analysis.pk)
            delete_analysis(analysis=analysis)
            self.deleted.add(analysis.pk)
            self.look()
            self._let_jobs_go_on()
            self.settle()

    def delete_video(self) -> None:
        """With all its analyses, where they are over."""
        videos = list(Video.objects.filter(deleted_at=None).order_by("created_at", "id"))
        if videos:
            self.look()
            with contextlib.suppress(*REFUSED):
                self._delete(self.dice.choice(videos))

    def get_rid_of_a_video(self) -> None:
        """As fast: of one that is being analysed, several times perhaps."""
        analysis = self._one(status="running")
        if analysis is not None:
            for active in Analysis.objects.filter(video=analysis.video).exclude(status__in=OVER):
                cancel_analysis(analysis=active)
                self.cancelled.add(active.pk)
            self._delete(analysis.video)
            self.look()
            self._let_jobs_go_on()
            while self.settle():
                pass

    def _delete(self, video: Video) -> None:
        delete_video(video=video)
        self.deleted |= {video.pk, *video.analyses.values_list("pk", flat=True)}

    def redrive_one(self) -> None:
        """Any of the kept messages, as an operator who does not look closely."""
        letters = list(DeadRequest.objects.order_by("id"))
        if not letters:
            return
        letter = self.dice.choice(letters)
        with contextlib.suppress(NothingToRedrive, RequestRefused):
            made = redrive(letter)
            assert made.retry_of_id is not None
            self.kinds[made.pk] = self.kinds[made.retry_of_id]
            self.redriven[made.retry_of_id] += 1

    def _let_jobs_go_on(self) -> None:
        """As if AWS Batch were away."""
        OwedCall.objects.filter(kind=OwedCall.Kind.TERMINATE_JOB, done_at=None).update(
            not_before=Now() + timedelta(days=1)
        )

    def _video(self, owner: User, kind: str) -> Video:
        """Sent anew after it was deleted. No URL of it is good any more."""
        video = owner.videos.filter(filename=kind, deleted_at=None).first()
        if video is None:
            facts = LONG if kind == "long" else FACTS
            video = make_video(owner, filename=kind, facts=facts, signed_at=timezone.now() - timedelta(days=1))
            self.machines.objects.add(video.key)
        return video

    def _one(self, **which: object) -> Analysis | None:
        """Of those that their owners see."""
        found = list(Analysis.objects.filter(deleted_at=None, **which).order_by("created_at", "id"))
        return self.dice.choice(found) if found else None

    # The worker

    def relay(self) -> int:
        try:
            return relay_once(self.queues)  # type: ignore[arg-type]
        except QueueUnavailable:
            return 0

    def consume(self, *, twice: bool = False, lost: bool = False) -> int:
        """Some events, in any order; some stay for another time, although they were applied, or are lost."""
        chosen = self.queues.some_events()
        for message in chosen:
            if not lost:
                self._apply(apply_job_event, message)
            if lost or not twice:
                self.queues.events.remove(message)
        return len(chosen)

    def bury(self, *, twice: bool = False) -> None:
        for message in self.queues.dead:
            request = AnalysisRequest.from_json(message.body)
            analysis = Analysis.objects.filter(pk=request.analysis_id, on_demand=request.on_demand).first()
            if analysis is not None:  # one that asked for Spot is no reason once On-Demand was asked for
                self.machines.expected[analysis.pk].add(ErrorCode.SUBMISSION_FAILED)
            self._apply(apply_dead_request, message)
        if not twice:
            self.queues.dead.clear()

    def reconcile(self) -> None:
        """The tests have set its patience to none."""
        reconcile_once(self.machines)
        resend_once()

    def hurry(self) -> None:
        """The same: what waits at all has waited too long."""
        for analysis_id in Analysis.objects.filter(on_demand=True).values_list("pk", flat=True):
            self.machines.expected[analysis_id].add(ErrorCode.JOB_NEVER_STARTED)
        hurry_once(self.machines)

    def let_a_day_pass(self) -> None:
        """For one analysis of which nothing was heard."""
        message = OutboxMessage.objects.filter(analysis__status="queued").order_by("id").first()
        if message is not None:
            self.machines.expected[message.analysis_id].add(ErrorCode.SUBMISSION_FAILED)
            OutboxMessage.objects.filter(analysis_id=message.analysis_id).update(
                created_at=Now() - CLOSED_AFTER - timedelta(minutes=1)
            )
            resend_once()

    def settle(self) -> int:
        calls = {
            OwedCall.Kind.TERMINATE_JOB.value: self.machines.terminate,
            OwedCall.Kind.CANCEL_ANALYSIS.value: cancel_owed,
            OwedCall.Kind.REMOVE_ANALYSIS.value: lambda subject: remove_analysis(subject, bucket=self),  # type: ignore[arg-type]
            OwedCall.Kind.REMOVE_OBJECT.value: self.delete_under,
            OwedCall.Kind.REMOVE_VIDEO.value: lambda subject: remove_video(subject, bucket=self),  # type: ignore[arg-type]
        }
        return settle_once(calls)

    def _apply(self, apply: Callable[[ReceivedMessage], bool], message: Message) -> None:
        self.queues.delivered += 1
        assert apply(ReceivedMessage(message_id=message.id, receipt="", body=message.body))

    # The Lambda and the bucket

    def deliver(self, *, twice: bool = False) -> int:
        """With `twice`, SQS forgets that the messages were deleted."""
        chosen = self.queues.some_requests()
        records = [{"messageId": message.id, "body": message.body} for message in chosen]
        answer = self.submitter.submit_all(records, EventLog())
        left = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for message in chosen:
            if message.id not in left and not twice:
                self.queues.requests.remove(message)
        return len(chosen)

    def delete_under(self, prefix: str) -> None:
        if self.bucket_away:
            raise StorageUnavailable("DeleteObjects")
        self.machines.objects -= {key for key in self.machines.objects if key.startswith(prefix)}

    delete = delete_under  # of one key, under which there is no other

    # In the end

    def come_to_rest(self, *, machines: bool = True) -> None:
        """Everything is there again, and nothing more is asked for. Machines may stay away for ever."""
        self.queues.away = self.machines.away = self.bucket_away = False
        self.machines.lost_answers = self.machines.late_lists = self.machines.refusals = 0
        if machines:
            self.bring_machines()
        for _ in range(TURNS):
            self.relay()
            self.deliver()
            self.bury()
            self.machines.tick(30.0)
            while self.machines.haunt():
                pass
            moved = self.machines.work()
            self.consume()
            time_passes()
            while self.settle():
                moved = True
            self.look()
            if not (moved or self.queues.requests or self.queues.events):
                if not self.at_work():
                    return
                self.reconcile()
                if not Analysis.objects.exclude(status__in=OVER).exists():
                    self.bring_machines()  # jobs of which nobody has heard find nothing to do
                elif not OutboxMessage.objects.filter(sent_at=None).exists():
                    self.hurry()
        waiting = list(Analysis.objects.exclude(status__in=OVER))
        raise AssertionError(f"it does not end: {waiting}, {self.machines.alive()}")

    def bring_machines(self) -> None:
        for kind in (SPOT, ON_DEMAND):
            self.machines.give(kind, MACHINES)

    def at_work(self) -> bool:
        return (
            Analysis.objects.exclude(status__in=OVER).exists()
            or OutboxMessage.objects.filter(sent_at=None).exists()
            or OwedCall.objects.filter(done_at=None).exists()
            or bool(self.machines.containers or self.machines.alive())
        )


def clear() -> None:
    """What an earlier world has left; ledgers stay, which are only appended to."""
    for model in (Endpoint, Analysis, Video, OwedCall, DeadRequest):
        model.objects.all().delete()


def time_passes() -> None:
    """Until whatever waits for another try, or for its time, is due."""
    OwedCall.objects.filter(done_at=None).update(not_before=Now())
    OutboxMessage.objects.filter(sent_at=None).update(not_before=Now())
