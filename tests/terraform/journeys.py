"""What happens to users' videos; between them the journeys take every way through the product that calls AWS."""

import os
from datetime import timedelta
from typing import Any

import boto3
import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import override_settings

from backend.accounts.models import User
from backend.videos import wiring
from backend.videos.consuming import consume_once
from backend.videos.models import Analysis, DeadRequest, OwedCall, Video
from backend.videos.owed_calls import owe
from backend.videos.redriving import redrive
from backend.videos.worker import LOOPS
from batch_job.errors import Interrupted
from batch_job.media import MediaBucket
from contract.exit_codes import EXIT_DONE, EXIT_GIVE_UP
from contract.jobs import SPOT_ATTEMPTS
from contract.keys import annotated_video_key
from demo.video import make_demo_video
from tests.backend.making import attempt
from tests.terraform.iam.policies import Call
from tests.terraform.walk import REFUSAL, Walk


def any_video() -> str:
    return str(Video.objects.latest("created_at").pk)


def happy_path(walk: Walk) -> None:
    video = walk.upload(make_demo_video(walk.folder / "clip.mp4", seconds=1).path)
    analysis = walk.request(video, annotated_video=True)
    job = walk.submit(analysis)
    walk.tell(analysis, "RUNNABLE", job)
    assert walk.run_job(job) == EXIT_DONE
    walk.tell(analysis, "SUCCEEDED", job)
    assert walk.status(analysis) == "succeeded"
    for path in ("detections", "tracks", "seconds", "events", "thumbnails", "media"):
        walk.api("get", f"analyses/{analysis}/{path}")
    for form in ("csv", "jsonl", "coco", "motchallenge", "parquet"):
        assert walk.api("get", f"analyses/{analysis}/exports/{form}")


def uploads_given_up(walk: Walk) -> None:
    """By their owners, in parts and in one piece, and removed by the worker once no URL is good any more."""
    path = make_demo_video(walk.folder / "given_up.mp4", seconds=0.5).path
    for multipart in (True, False):
        told = walk.started(path, multipart=multipart)
        if multipart:
            walk.send_part(told["id"], path)
        else:
            walk.api("post", f"videos/{told['id']}/finish", status=REFUSAL)  # nothing has arrived
        walk.api("post", f"videos/{told['id']}/abort")
        Video.objects.filter(pk=told["id"]).update(signed_at=Now() - timedelta(days=2))
        walk.work("upload expiry")
        assert not Video.objects.filter(pk=told["id"]).exists()


def cancelled_and_retried(walk: Walk) -> None:
    """By a user of another plan, whose jobs have another queue."""
    User.objects.update(plan="studio")
    video = walk.upload_in_parts(make_demo_video(walk.folder / "other.mp4", seconds=0.5).path)
    analysis = walk.request(video)
    job = walk.submit(analysis)
    walk.tell(analysis, "RUNNABLE", job)
    walk.api("post", f"analyses/{analysis}/cancel")
    owe(OwedCall.Kind.TERMINATE_JOB, "forgotten-by-batch")
    walk.settle()
    assert OwedCall.objects.exclude(done_at=None).filter(subject=job).exists()
    again = walk.api("post", f"analyses/{analysis}/retry")["id"]
    assert walk.submit(again)


def moved_to_on_demand(walk: Walk) -> None:
    """Spot took every machine; of Enterprise and the others, whose jobs have another queue On-Demand too."""
    lost = attempt(status_reason="Host EC2 (instance i-0abc) terminated.")
    for plan in ("enterprise", "studio"):
        User.objects.update(plan=plan)
        analysis = walk.request(any_video())
        walk.tell(analysis, "FAILED", walk.submit(analysis), attempts=[lost] * SPOT_ATTEMPTS)
        walk.settle()
        assert walk.submit(analysis, on_demand=True)


def refused(walk: Walk) -> None:
    """The function tells the worker of a message that nobody can read."""
    url = walk.permissions.outputs["queues"]["requests"]
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody="not a request")
    walk.invoke()
    walk.work("job-events consumer")
    assert DeadRequest.objects.filter(body="not a request").exists()


def redriven(walk: Walk) -> None:
    """A request that the function never finished comes back as a dead letter."""
    analysis = walk.request(any_video())
    url = walk.permissions.outputs["queues"]["requests"]
    walk.work("outbox relay")
    (message,) = boto3.client("sqs").receive_message(QueueUrl=url)["Messages"]  # as SQS does after the last try
    boto3.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    walk.bury(message["Body"])
    assert walk.status(analysis) == "failed"
    with walk.gate.acting_as("api"):  # an administrator, who has mended the cause
        again = redrive(DeadRequest.objects.get(analysis=analysis))
    assert walk.submit(again.pk)

    # The database goes away while messages are in hand: they are given back.
    def away(_: Any) -> bool:
        raise OperationalError("the database is away")

    for queue, name in ((wiring.job_events_queue, "job_events"), (wiring.dead_requests_queue, "dead_requests")):
        url = walk.permissions.outputs["queues"][name]
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
        with walk.gate.acting_as("worker"), pytest.raises(OperationalError):
            consume_once(queue(), away)
        boto3.client("sqs").purge_queue(QueueUrl=url)


def reconciled(walk: Walk) -> None:
    """Events were lost: the worker asks AWS Batch."""
    analysis = walk.request(any_video())
    job = walk.submit(analysis)
    Analysis.objects.filter(pk=analysis).update(
        status="submitted", batch_job_id=job, updated_at=Now() - timedelta(hours=1)
    )
    walk.work("reconciler")
    assert walk.status(analysis) != "submitted"


def waited_too_long(walk: Walk) -> None:
    """The worker asks AWS Batch about a job that no machine took, and ends it if that is so."""
    analysis = walk.request(any_video())
    walk.tell(analysis, "RUNNABLE", walk.submit(analysis))
    Analysis.objects.filter(pk=analysis).update(runnable_since=Now() - timedelta(days=1))
    walk.work("reconciler")
    assert walk.status(analysis) != "submitted"


def kept_long_enough(walk: Walk) -> None:
    """A video that nobody has analysed is forgotten, and its object removed."""
    video = walk.upload(make_demo_video(walk.folder / "unused.mp4", seconds=0.5).path)
    Video.objects.filter(pk=video).update(created_at=Now() - timedelta(days=2))
    with override_settings(KEEP_VIDEOS_DAYS=1):
        walk.work("retention")
    walk.settle()
    found = boto3.client("s3").list_objects_v2(Bucket=walk.permissions.outputs["bucket"])
    assert not [one["Key"] for one in found["Contents"] if video in one["Key"]]


def deleted(walk: Walk) -> None:
    analysis = Analysis.objects.filter(status="succeeded").latest("created_at").pk
    walk.api("delete", f"analyses/{analysis}")
    walk.settle()
    assert not Analysis.objects.filter(pk=analysis).exists()

    # A video with an analysis that made files, and one that was not sent to its end.
    path = make_demo_video(walk.folder / "unwanted.mp4", seconds=0.5).path
    analysed, unfinished = walk.upload(path), walk.started(path, multipart=True)["id"]
    analysis = walk.request(analysed)
    assert walk.run_job(walk.submit(analysis)) == EXIT_DONE
    for video in (analysed, unfinished):
        walk.api("delete", f"videos/{video}")
    walk.settle()
    assert not Video.objects.filter(pk__in=[analysed, unfinished]).exists()
    found = boto3.client("s3").list_objects_v2(Bucket=walk.permissions.outputs["bucket"]).get("Contents", ())
    assert not [one["Key"] for one in found if analysed in one["Key"] or str(analysis) in one["Key"]]


def interrupted(walk: Walk) -> None:
    """A job that is stopped while it sends an annotated video throws away what it has sent."""
    path = walk.folder / "annotated.mp4"
    path.write_bytes(os.urandom(24 << 20))
    halts = iter(range(3))

    def halt() -> None:
        if next(halts, None) is None:
            raise Interrupted

    with walk.gate.acting_as("job"):
        bucket = MediaBucket(walk.permissions.outputs["bucket"], halt=halt)
        with pytest.raises(Interrupted):
            bucket.put_video(annotated_video_key(Analysis.objects.latest("created_at").pk), path)
        bucket.close()
    assert walk.gate.calls["job", "s3:AbortMultipartUpload"] == 1


def video_gone(walk: Walk) -> None:
    """Told from a video that may not be read, which takes the right to list."""
    video = walk.upload(make_demo_video(walk.folder / "gone.mp4", seconds=0.5).path)
    analysis = walk.request(video)
    job = walk.submit(analysis)
    for found in boto3.client("s3").list_objects_v2(Bucket=walk.permissions.outputs["bucket"])["Contents"]:
        if video in found["Key"]:
            boto3.client("s3").delete_object(Bucket=walk.permissions.outputs["bucket"], Key=found["Key"])
    assert walk.run_job(job) == EXIT_GIVE_UP
    bucket = f"arn:aws:s3:::{walk.permissions.outputs['bucket']}"
    walk.gate.ask("job", Call(action="s3:ListBucket", resource=bucket))


def idle(walk: Walk) -> None:
    """Whatever else the worker does, with nothing to do."""
    for loop in set(LOOPS) - walk.loops:
        walk.work(loop)


ALL = (
    happy_path,
    uploads_given_up,
    cancelled_and_retried,
    moved_to_on_demand,
    refused,
    redriven,
    reconciled,
    waited_too_long,
    deleted,
    kept_long_enough,
    interrupted,
    video_gone,
    idle,
)
