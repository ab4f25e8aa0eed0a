"""Killed after each single step, the worker's other loops lose nothing and do nothing twice.

Relay, consumer, poller and backend are killed as processes in test_kills.py. Here a turn of a loop dies after one
statement, commit or call to AWS more each time, until it has lived through; another worker goes on, and what the
tables, queues and buckets then say is what they say after a turn that nobody disturbed.
"""

import contextlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import moto.s3.models
import pytest
from django.conf import settings as product_settings
from django.db.models.functions import Now

from backend.gateways.incoming_queue import IncomingQueue
from backend.gateways.s3 import MediaBucket
from backend.videos import deleting
from backend.videos.assembling import assemble_once
from backend.videos.cancelling import cancel_analysis, cancel_owed
from backend.videos.consuming import apply_dead_request, apply_job_event, consume_once
from backend.videos.deleting import delete_analysis, delete_video, remove_analysis, remove_video
from backend.videos.expiring import expire_once
from backend.videos.models import Analysis, DeadRequest, Detection, IdempotencyKey, OutboxMessage, OwedCall, Video
from backend.videos.owed_calls import owe, settle_once
from backend.videos.probing import probe_once
from backend.videos.reconciling import reconcile_once
from backend.videos.redriving import NothingToRedrive, redrive
from backend.videos.resending import resend_once
from backend.videos.retention import forget_once
from backend.videos.services import retry_analysis
from backend.videos.waiting import hurry_once
from contract.keys import poster_key
from contract.notices import JobFound, RequestRefused
from tests.backend.making import attempt, job_event, make_finished, make_video
from tests.backend.test_probe import clip
from tests.flow.estate import Estate, running, told
from tests.flow.mortal import life_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]

HOST_LOST = attempt(status_reason="Host EC2 (instance i-0) terminated.")
LONG = timedelta(hours=5)


class Work(ABC):
    """Something for a loop to do; made anew for each life."""

    calls: ClassVar[tuple[tuple[type, str], ...]] = ()  # counted like those to AWS

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self.estate = Estate()
        self.made(request)

    @abstractmethod
    def made(self, request: pytest.FixtureRequest) -> None:
        """Makes what there is to do."""

    @abstractmethod
    def turn(self) -> int:
        """One step of the loop; how much it took on."""

    def later(self) -> None:
        """Until what waits for another try, or for its time, is due."""
        OwedCall.objects.filter(done_at=None).update(not_before=Now())

    def told(self) -> dict[str, Any]:
        return told(self.estate)


class OfQueue(Work):
    """Messages that come again at once where they were not deleted."""

    def made(self, request: pytest.FixtureRequest) -> None:
        client = request.getfixturevalue("sqs_client")
        url = client.create_queue(QueueName=f"kills-{self.estate.owner.username}")["QueueUrl"]
        client.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
        for body in self.bodies():
            client.send_message(QueueUrl=url, MessageBody=body)
        self.queue = IncomingQueue(url, wait_seconds=0)

    @abstractmethod
    def bodies(self) -> Iterator[str]:
        """Of the messages."""


class DeadLetters(OfQueue):
    def bodies(self) -> Iterator[str]:
        yield self.estate.body(self.estate.analysis("lost"))
        yield self.estate.body(self.estate.analysis("taken", **running("taken")))
        yield "gibberish"

    def turn(self) -> int:
        return consume_once(self.queue, apply_dead_request)


class Events(OfQueue):
    """All that an event may lead to: a note, an end, a move to On-Demand, a job to be ended, a refusal, a find."""

    def bodies(self) -> Iterator[str]:
        noted, refused, found = (self.estate.analysis(name) for name in ("noted", "refused", "found"))
        died, spot = (self.estate.analysis(name, **running(name)) for name in ("died", "spot"))
        over = self.estate.analysis("over")
        cancel_analysis(analysis=over)
        yield job_event(noted.pk, "RUNNABLE", job_id="noted")
        yield job_event(died.pk, "FAILED", job_id="died", attempts=[attempt(exit_code=1)])
        yield job_event(spot.pk, "FAILED", job_id="spot", attempts=[HOST_LOST])
        yield job_event(over.pk, "RUNNING", job_id="over")
        yield RequestRefused(message_id="m", body=self.estate.body(refused), fault="no definition").to_json()
        yield JobFound(analysis_id=found.pk, job_id="found", job_name=f"analysis-{found.pk}").to_json()

    def turn(self) -> int:
        return consume_once(self.queue, apply_job_event)


class Jobs:
    """AWS Batch, which knows each job by the name of its analysis."""

    def __init__(self) -> None:
        self.details: dict[str, Mapping[str, Any]] = {}
        self.terminated: set[str] = set()

    def has(self, analysis: Analysis, state: str, **fields: Any) -> None:
        name = analysis.batch_job_id
        self.details[name] = json.loads(job_event(analysis.pk, state, job_id=name, **fields))["detail"]

    def describe(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        return [self.details[job_id] for job_id in job_ids]

    def terminate(self, job_id: str) -> None:
        self.terminated.add(job_id)


class Reconciler(Work):
    """Every decision of its three parts, in the order of `worker.reconciler`."""

    calls = ((Jobs, "describe"),)

    def made(self, request: pytest.FixtureRequest) -> None:
        self.jobs, quiet = Jobs(), Now() - LONG
        waits = {"status": "submitted", "batch_state": "RUNNABLE", "runnable_since": quiet}
        for name, state, columns, fields in (
            ("died", "FAILED", running("died"), {"attempts": [attempt(exit_code=1)]}),
            ("spot", "FAILED", running("spot"), {"attempts": [HOST_LOST]}),
            ("waits", "RUNNABLE", {**waits, "batch_job_id": "waits"}, {}),
            ("never", "RUNNABLE", {**waits, "batch_job_id": "never", "on_demand": True}, {"on_demand": True}),
        ):
            self.jobs.has(self.estate.analysis(name, updated_at=quiet, **columns), state, **fields)
        self.estate.analysis("unheard", sent=timedelta(minutes=31))
        self.estate.analysis("given up", sent=timedelta(hours=25))

    def turn(self) -> int:
        resend_once()
        reconcile_once(self.jobs)
        hurry_once(self.jobs)
        return 0


class OwedCalls(Work):
    calls = ((Jobs, "terminate"),)

    def made(self, request: pytest.FixtureRequest) -> None:
        self.jobs = Jobs()
        self.bucket = MediaBucket(request.getfixturevalue("media_bucket"))
        self.s3 = request.getfixturevalue("s3_client")
        self.owed(request)
        self.later()

    def owed(self, request: pytest.FixtureRequest) -> None:
        cancel_analysis(analysis=self.estate.analysis("cancelled", **running("cancelled")))
        owe(OwedCall.Kind.CANCEL_ANALYSIS, str(self.estate.analysis("slow", **running("slow")).pk))
        gone = self.estate.analysis("gone", status="failed", finished_at=Now())
        delete_analysis(analysis=gone)
        owe(OwedCall.Kind.REMOVE_OBJECT, "uploads/old")
        for key in (poster_key(gone.pk), "uploads/old", "uploads/young"):
            self.s3.put_object(Bucket=self.bucket.name, Key=key, Body=b"x")

    def turn(self) -> int:
        return settle_once(
            {
                "terminate_job": self.jobs.terminate,
                "cancel_analysis": cancel_owed,
                "remove_analysis": partial(remove_analysis, bucket=self.bucket),
                "remove_object": self.bucket.delete_under,
                "remove_video": partial(remove_video, bucket=self.bucket),
            }
        )

    def told(self) -> dict[str, Any]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket.name).get("Contents", ())
        keys = [found["Key"] for found in listed]
        return {**super().told(), "keys of objects": keys, "terminated": self.jobs.terminated}


class DeletedVideos(OwedCalls):
    """One with two analyses, one of more detections than a turn deletes, and an upload that was given up."""

    def owed(self, request: pytest.FixtureRequest) -> None:
        request.getfixturevalue("monkeypatch").setattr(deleting, "FRAMES_AT_A_TIME", 2)
        analysis = self.estate.analysis("analysed", status="failed", finished_at=Now())
        another = make_finished(self.estate.owner, [1, 0, 2, 1], video=analysis.video)
        self.kept = make_finished(self.estate.owner, [1], video=make_video(self.estate.owner, filename="kept"))
        upload = make_video(self.estate.owner, filename="given up", status="aborted", part_bytes=5)
        upload.upload_id = self.bucket.begin_parts(key=upload.key, content_type="video/mp4")
        upload.save()
        for key in (poster_key(another.pk), analysis.video.key, upload.key):
            self.s3.put_object(Bucket=self.bucket.name, Key=key, Body=b"x")
        for video in (analysis.video, upload):
            delete_video(video=video)

    def told(self) -> dict[str, Any]:
        parts = self.s3.list_multipart_uploads(Bucket=self.bucket.name).get("Uploads", [])
        others = Detection.objects.exclude(analysis=self.kept).count()
        left = {**super().told(), "parts": parts, "detections": others}
        assert left["videos"] == [("kept", "ready", "")]
        assert (left["keys of objects"], parts, others) == ([], [], 0)
        return left


class Prober(Work):
    def made(self, request: pytest.FixtureRequest) -> None:
        self.bucket = MediaBucket(request.getfixturevalue("media_bucket"))
        film = request.getfixturevalue("film")
        for name, content in (("film", film), ("diary", b"Dear diary")):
            video = make_video(self.estate.owner, filename=name, status="probing", size_bytes=len(content))
            request.getfixturevalue("s3_client").put_object(Bucket=self.bucket.name, Key=video.key, Body=content)

    def turn(self) -> int:
        return probe_once(self.bucket)

    def later(self) -> None:
        """The lease of the dead one runs out."""
        Video.objects.update(probe_not_before=Now())


class Assembler(Work):
    """A file in three parts; S3 forgets the upload with the answer that a dead worker does not hear."""

    def made(self, request: pytest.FixtureRequest) -> None:
        self.bucket = MediaBucket(request.getfixturevalue("media_bucket"))
        self.s3 = request.getfixturevalue("s3_client")
        request.getfixturevalue("monkeypatch").setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", 1)
        for name in ("one", "another"):
            video = make_video(self.estate.owner, filename=name, status="probing", part_bytes=1, size_bytes=3)
            upload_id = self.bucket.begin_parts(key=video.key, content_type="video/mp4")
            Video.objects.filter(pk=video.pk).update(upload_id=upload_id)
            for number in (1, 2, 3):
                self.s3.upload_part(
                    Bucket=self.bucket.name, Key=video.key, UploadId=upload_id, PartNumber=number, Body=b"x"
                )

    def turn(self) -> int:
        return assemble_once(self.bucket)

    def later(self) -> None:
        """The lease of the dead one runs out."""
        Video.objects.filter(etag="").update(probe_not_before=Now())

    def told(self) -> dict[str, Any]:
        parts = self.s3.list_multipart_uploads(Bucket=self.bucket.name).get("Uploads", [])
        prefix = f"uploads/{self.estate.owner.pk}/"
        listed = self.s3.list_objects_v2(Bucket=self.bucket.name, Prefix=prefix)["Contents"]
        tags = {found["Key"]: found["ETag"] for found in listed}
        assert {video.key: video.etag for video in Video.objects.all()} == tags
        return {**super().told(), "parts": parts, "bytes": [found["Size"] for found in listed]}


class UploadExpiry(Work):
    def made(self, request: pytest.FixtureRequest) -> None:
        self.bucket = MediaBucket(request.getfixturevalue("media_bucket"))
        self.s3 = request.getfixturevalue("s3_client")
        for name in ("in parts", "in one piece"):
            video = make_video(self.estate.owner, filename=name, status="uploading")
            signed = Now() - timedelta(hours=product_settings.UPLOAD_KEPT_HOURS + 2)
            parts = self.bucket.begin_parts(key=video.key, content_type="video/mp4") if name == "in parts" else ""
            Video.objects.filter(pk=video.pk).update(signed_at=signed, upload_id=parts)
            if not parts:
                self.s3.put_object(Bucket=self.bucket.name, Key=video.key, Body=b"late")
        make_video(self.estate.owner, filename="young", status="uploading")

    def turn(self) -> int:
        return expire_once(self.bucket)

    def told(self) -> dict[str, Any]:
        parts = self.s3.list_multipart_uploads(Bucket=self.bucket.name).get("Uploads", [])
        objects = self.s3.list_objects_v2(Bucket=self.bucket.name).get("Contents", [])
        return {**super().told(), "left in S3": [parts, objects]}


class Retention(Work):
    def made(self, request: pytest.FixtureRequest) -> None:
        settings = request.getfixturevalue("settings")
        settings.KEEP_ANALYSES_DAYS, settings.KEEP_VIDEOS_DAYS, settings.KEEP_RECORDS_DAYS = 20, 20, 10
        for name, days in (("old", 30), ("middling", 15), ("young", 5)):
            ended = Now() - timedelta(days=days)
            analysis = self.estate.analysis(name, sent=timedelta(days=days), status="failed", finished_at=ended)
            analysis.events.update(at=ended)
            make_video(self.estate.owner, filename=f"unused, {name}")
            Video.objects.filter(filename__endswith=name).update(created_at=ended)
            key = IdempotencyKey.objects.create(owner=self.estate.owner, key=name, digest="", analysis=analysis)
            IdempotencyKey.objects.filter(pk=key.pk).update(created_at=ended)
            OwedCall.objects.create(kind="terminate_job", subject=name, done_at=ended)

    def turn(self) -> int:
        return forget_once()


class Redrive(Work):
    """An operator who asks again where no answer came."""

    def made(self, request: pytest.FixtureRequest) -> None:
        failed = self.estate.analysis("failed", status="failed", error_code="submission_failed", finished_at=Now())
        for message_id in ("m-1", "m-2"):
            DeadRequest.objects.create(message_id=message_id, analysis=failed, body=self.estate.body(failed))

    def turn(self) -> int:
        with contextlib.suppress(NothingToRedrive):
            for dead in DeadRequest.objects.filter(redriven_at=None):
                redrive(dead)
        return 0


class Owner(Work):
    """A user who does again what no answer came to: cancels, tries again with a key, deletes."""

    def made(self, request: pytest.FixtureRequest) -> None:
        self.estate.analysis("cancelled", **running("cancelled"))
        self.estate.analysis("not sent")
        OutboxMessage.objects.filter(analysis__video__filename="not sent").update(sent_at=None)
        self.estate.analysis("again", status="failed", finished_at=Now())
        for name in ("deleted", "deleted with its video"):
            self.estate.analysis(name, status="failed", finished_at=Now())

    def turn(self) -> int:
        named = {analysis.video.filename: analysis for analysis in Analysis.objects.filter(retry_of=None)}
        for name in ("cancelled", "not sent"):
            cancel_analysis(analysis=named[name])
        retry_analysis(owner=self.estate.owner, analysis=named["again"], idempotency_key="k")
        delete_analysis(analysis=named["deleted"])
        delete_video(video=named["deleted with its video"].video)
        return 0


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clip(Path(tmp_path_factory.mktemp("film")) / "film.mp4", frames=5)


def live(work: Work) -> None:
    while work.turn():
        pass


@pytest.mark.parametrize(
    ("kind", "fewest"),
    [
        (DeadLetters, 10),
        (Events, 20),
        (Reconciler, 30),
        (OwedCalls, 20),
        (DeletedVideos, 40),
        (Assembler, 12),
        (Prober, 6),
        (UploadExpiry, 8),
        (Retention, 10),
        (Redrive, 10),
        (Owner, 20),
    ],
)
def test_whoever_dies_after_any_step_has_lost_nothing_and_doubled_nothing(
    request: pytest.FixtureRequest, kind: Callable[[pytest.FixtureRequest], Work], fewest: int
):
    """`fewest` steps are there at least to die after, so that the test cannot come to look at none."""
    calm = finished(kind(request))
    for steps in count(1):
        work = kind(request)
        with life_of(steps, *work.calls) as life:
            live(work)
        assert finished(work) == calm, f"after {steps} steps"
        if not life.dead:
            break
    assert steps > fewest


def finished(work: Work) -> dict[str, Any]:
    """By somebody else, who may have to come several times."""
    for _ in range(3):
        work.later()
        live(work)
    return work.told()
