"""S3 may take minutes to put parts together: the worker waits for it, and nobody else."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import moto.s3.models
import pytest
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.test import APIClient

from backend.gateways import s3
from backend.gateways.errors import PartsRefused, StorageUnavailable
from backend.gateways.s3 import MediaBucket
from backend.videos import finishing, uploads, worker
from backend.videos.assembling import assemble_once
from backend.videos.claiming import ATTEMPTS
from backend.videos.loops import Loop
from backend.videos.models import Video
from backend.videos.probing import probe_once
from tests.backend.serving import wait_until
from tests.backend.test_parts import CONTENT, PART, PARTS, begin, finish, sign, upload_parts
from tests.backend.test_uploads import send
from tests.strict_s3 import StrictS3, checksum

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "part_bytes", lambda size_bytes: PART)
    monkeypatch.setattr(moto.s3.models, "S3_UPLOAD_PART_MIN_SIZE", 1)


@pytest.fixture
def slow_s3(strict_s3: StrictS3) -> Iterator[StrictS3]:
    yield strict_s3
    strict_s3.may_complete.set()
    strict_s3.may_answer.set()


@pytest.fixture
def bucket(media: str) -> MediaBucket:
    return MediaBucket(media)


def finished(api: APIClient, **options: Any) -> dict[str, Any]:
    """All parts are there, and the worker has not come yet."""
    video = begin(api, **options)
    upload_parts(api, video, *range(1, 10))
    assert finish(api, video).status_code == 202
    return video


def due() -> None:
    Video.objects.update(probe_not_before=Now() - timedelta(seconds=1))


def content(client: Any, bucket: MediaBucket) -> bytes:
    stored: bytes = client.get_object(Bucket=bucket.name, Key=Video.objects.get().key)["Body"].read()
    return stored


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_no_request_waits_while_the_parts_are_put_together(
    api: APIClient, bucket: MediaBucket, slow_s3: StrictS3, s3_client: Any
):
    slow_s3.may_complete.clear()
    video = finished(api)

    def work() -> None:
        try:
            assemble_once(bucket)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    for answer in (finish(api, video), api.get(video["links"]["self"]), api.get("/api/videos")):
        assert answer.status_code in (200, 202)
    assert api.get(video["links"]["self"]).json()["status"] == "probing"
    assert probe_once(bucket) == 0  # there is nothing to look at yet
    assert worker.is_alive()
    slow_s3.may_complete.set()
    worker.join(60)
    assert content(s3_client, bucket) == CONTENT
    assert probe_once(bucket) == 1
    assert api.get(video["links"]["self"]).json()["error"]["code"] == "video_unreadable"  # it was looked at


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_upload_over_which_s3_takes_long_holds_up_no_other(
    api: APIClient, bucket: MediaBucket, s3_client: Any, monkeypatch: pytest.MonkeyPatch
):
    go_on, stop = threading.Event(), threading.Event()
    complete = MediaBucket.complete_parts
    finished(api)
    large = Video.objects.get()

    def slow_for_one(self: MediaBucket, *, key: str, **arguments: Any) -> None:
        assert key != large.key or go_on.wait(60)
        complete(self, key=key, **arguments)

    def put_together(pk: Any) -> bool:
        return bool(Video.objects.get(pk=pk).etag)

    monkeypatch.setattr(MediaBucket, "complete_parts", slow_for_one)
    assemblers = [Loop(name, worker.assembler(name)[0], stop, idle_seconds=0.05) for name in worker.ASSEMBLERS]
    try:
        for assembler in assemblers:
            assembler.start()
        wait_until(lambda: Video.objects.get().probe_attempts == 1)
        small = finished(api)
        wait_until(lambda: put_together(small["id"]))
        assert not put_together(large.pk)
        go_on.set()
        wait_until(lambda: put_together(large.pk))
    finally:
        go_on.set()
        stop.set()
        for assembler in assemblers:
            assembler.join(60)


def test_file_whose_completion_was_not_answered_is_found(
    api: APIClient, bucket: MediaBucket, slow_s3: StrictS3, s3_client: Any, monkeypatch: pytest.MonkeyPatch
):
    """S3 goes on with what it was asked to do, whether or not anybody still waits."""
    monkeypatch.setattr(s3, "_COMPLETING_SECONDS", 1)
    finished(api)
    slow_s3.may_answer.clear()
    with pytest.raises(StorageUnavailable):
        assemble_once(bucket)
    slow_s3.may_answer.set()
    assert assemble_once(bucket) == 0  # not at once again
    due()
    assert assemble_once(bucket) == 1
    row = Video.objects.get()
    assert (content(s3_client, bucket), row.status, bool(row.etag)) == (CONTENT, "probing", True)


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32", ""])
def test_file_that_was_put_together_has_the_checksum_of_its_parts(
    api: APIClient, bucket: MediaBucket, algorithm: str
):
    video = finished(api, algorithm=algorithm)
    assert assemble_once(bucket) == 1
    found = api.get(video["links"]["self"]).json()["checksum"]
    stated = {"algorithm": algorithm, "value": checksum(algorithm, *PARTS)} if algorithm else None
    assert found == stated


def test_part_that_is_sent_once_more_does_not_stop_it(
    api: APIClient, bucket: MediaBucket, s3_client: Any, monkeypatch: pytest.MonkeyPatch
):
    """A client repeats what timed out, and S3 names the part anew between being listed and being used."""
    video = begin(api)
    upload_parts(api, video, *range(1, 10))
    (late,) = sign(api, video, 4).json()["parts"]
    finish(api, video)
    complete = MediaBucket.complete_parts

    def refused_once(self: MediaBucket, **arguments: Any) -> None:
        monkeypatch.setattr(MediaBucket, "complete_parts", complete)
        assert send(late, PARTS[3]).status_code == 200
        raise PartsRefused("InvalidPart")

    monkeypatch.setattr(MediaBucket, "complete_parts", refused_once)
    assert assemble_once(bucket) == 1
    assert Video.objects.get().etag == ""
    assert assemble_once(bucket) == 0  # not at once again
    due()
    assert assemble_once(bucket) == 1
    assert content(s3_client, bucket) == CONTENT


def test_file_that_changed_after_its_end_was_told_is_refused(api: APIClient, bucket: MediaBucket):
    """What was signed without a checksum can be sent again, and other bytes with it."""
    video = begin(api)
    upload_parts(api, video, *range(1, 10))
    changed = [b"ONE ", *PARTS[1:]]
    (late,) = sign(api, video, 1, parts=changed).json()["parts"]
    assert finish(api, video, checksum=checksum("SHA256", *PARTS)).status_code == 202
    assert send(late, changed[0]).status_code == 200
    assert assemble_once(bucket) == 1
    refused = api.get(video["links"]["self"]).json()
    assert (refused["status"], refused["error"]["code"]) == ("refused", "video_changed")
    assert probe_once(bucket) == 0


def test_storage_that_is_away_says_nothing_of_the_file(
    api: APIClient, bucket: MediaBucket, s3_client: Any, monkeypatch: pytest.MonkeyPatch
):
    def away(*args: Any, **kwargs: Any) -> None:
        raise StorageUnavailable("gone")

    finished(api)
    with monkeypatch.context() as outage:
        outage.setattr(MediaBucket, "complete_parts", away)
        for _ in range(ATTEMPTS + 1):
            due()
            with pytest.raises(StorageUnavailable):
                assemble_once(bucket)
    due()
    assert assemble_once(bucket) == 1
    assert content(s3_client, bucket) == CONTENT


def test_parts_that_are_gone_are_given_up_after_a_while(api: APIClient, bucket: MediaBucket, s3_client: Any):
    """One upload must not keep the workers from all others, nor its owner waiting for ever.

    "Processing of a CompleteMultipartUpload request could take several minutes to complete" (Amazon S3's API
    reference): a worker whose connection broke meanwhile finds neither parts nor object for as long.
    """
    video = finished(api)
    row = Video.objects.get()
    s3_client.abort_multipart_upload(Bucket=bucket.name, Key=row.key, UploadId=row.upload_id)
    waits = timedelta()
    for _ in range(ATTEMPTS):
        due()
        assert assemble_once(bucket) == 1
        assert api.get(video["links"]["self"]).json()["status"] == "probing"
        waits += Video.objects.get().probe_not_before - timezone.now()
    assert waits > timedelta(minutes=5)
    due()
    assert assemble_once(bucket) == 1
    assert api.get(video["links"]["self"]).json()["error"]["code"] == "internal"


def test_tries_of_putting_together_are_not_taken_from_those_of_the_probe(api: APIClient, bucket: MediaBucket):
    finished(api)
    Video.objects.update(probe_attempts=ATTEMPTS - 1)
    assert assemble_once(bucket) == 1
    assert Video.objects.get().probe_attempts == 0


def test_parts_of_a_deleted_upload_are_not_put_together(api: APIClient, bucket: MediaBucket, s3_client: Any):
    video = finished(api)
    assert api.delete(video["links"]["self"]).status_code == 204
    assert assemble_once(bucket) == 0
    assert s3_client.list_objects_v2(Bucket=bucket.name)["KeyCount"] == 0


def test_list_that_takes_too_long_is_asked_for_again_later(
    api: APIClient, bucket: MediaBucket, monkeypatch: pytest.MonkeyPatch
):
    """Ten thousand parts are ten calls, each of which S3 may take seconds for."""
    video = begin(api)
    upload_parts(api, video, *range(1, 10))
    with monkeypatch.context() as patience:
        patience.setattr(finishing, "LISTING_SECONDS", 0)
        answer = finish(api, video)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert int(answer["Retry-After"]) > 0
    assert finish(api, video).status_code == 202
