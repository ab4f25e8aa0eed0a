"""An upload in one piece: a row, a presigned URL, and a check that the file has arrived."""

import os
from datetime import timedelta
from typing import Any
from uuid import UUID

import boto3
import httpx
import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.gateways import clients
from backend.gateways.s3 import MediaBucket
from backend.videos import uploads
from backend.videos.models import Video
from contract.keys import upload_key
from tests.backend.making import make_video
from tests.strict_s3 import StrictS3, checksum

pytestmark = pytest.mark.django_db

GIB = 1024**3


def start(api: APIClient, *, idempotency_key: str | None = None, **fields: Any) -> Any:
    body = {"filename": "a.mp4", "size_bytes": 5, "content_type": "video/mp4", **fields}
    headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
    return api.post("/api/videos", body, format="json", headers=headers)


def send(upload: dict[str, Any], content: bytes) -> httpx.Response:
    return httpx.request(upload["method"], upload["url"], headers=upload["headers"], content=content, timeout=90)


def test_presigned_url_names_the_region_of_the_bucket(monkeypatch: pytest.MonkeyPatch):
    """A browser follows no redirect to it from S3's global name."""
    for name in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(clients, "_session", lambda: boto3.session.Session(region_name="eu-central-1"))
    upload = MediaBucket("media").presigned_upload(key="a", size_bytes=1, content_type="video/mp4", seconds=60)
    assert httpx.URL(upload.url).host == "media.s3.eu-central-1.amazonaws.com"


def test_upload_goes_through_the_presigned_url_and_is_then_looked_at(
    api: APIClient, owner: User, media: str, s3_client: Any
):
    started = start(api, filename="Ünïcode ../clip.mp4", size_bytes=5)
    assert started.status_code == 201
    video = started.json()
    assert (video["status"], video["parts"], video["facts"]) == ("uploading", None, None)
    assert video["filename"] == "Ünïcode ../clip.mp4"
    assert started["Location"] == f"/api/videos/{video['id']}"

    assert send(video["upload"], b"12345").status_code == 200
    key = upload_key(owner.pk, UUID(video["id"]))
    stored = s3_client.get_object(Bucket=media, Key=key)
    assert stored["ContentType"] == "video/mp4"

    finished = api.post(video["links"]["finish"])
    assert finished.status_code == 202
    assert int(finished["Retry-After"]) > 0
    assert finished.json()["status"] == "probing"
    assert finished.json()["uploaded_at"] is not None
    assert "upload" not in finished.json()
    assert Video.objects.get().etag == stored["ETag"]


def test_database_lost_at_the_last_moment_leaves_no_video(
    api: APIClient, media: str, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is asked of the database after the commit."""

    def fails(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(Video, "refresh_from_db", fails)
    assert start(api).status_code == 503
    assert not Video.objects.exists()


def test_url_takes_only_the_declared_size_and_type(api: APIClient, media: str):
    """The size limit would otherwise be a promise nobody keeps."""
    upload = start(api, size_bytes=7).json()["upload"]
    assert send(upload, b"12345678").status_code == 403
    assert send({**upload, "headers": {"Content-Type": "text/html"}}, b"1234567").status_code == 403
    assert send(upload, b"1234567").status_code == 200


@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32"])
def test_stated_checksum_is_checked_by_the_storage_and_kept(api: APIClient, media: str, algorithm: str):
    """A byte that changed on the way is found before anybody pays for an analysis."""
    stated = checksum(algorithm, b"12345")
    video = start(api, checksum_algorithm=algorithm, checksum=stated).json()
    assert send(video["upload"], b"12346").status_code == 400
    assert send({**video["upload"], "headers": {"Content-Type": "video/mp4"}}, b"12345").status_code == 403
    assert api.post(video["links"]["finish"]).json()["code"] == "upload_missing"

    assert send(video["upload"], b"12345").status_code == 200
    finished = api.post(video["links"]["finish"])
    assert finished.status_code == 202
    assert finished.json()["checksum"] == {"algorithm": algorithm, "value": stated}


def test_object_without_the_stated_checksum_is_refused(api: APIClient, owner: User, media: str, s3_client: Any):
    """Whoever put it there did not come through the URL."""
    video = start(api, checksum_algorithm="SHA256", checksum=checksum("SHA256", b"12345")).json()
    s3_client.put_object(
        Bucket=media, Key=upload_key(owner.pk, UUID(video["id"])), Body=b"54321", ChecksumAlgorithm="SHA256"
    )
    answer = api.post(video["links"]["finish"])
    assert (answer.status_code, answer.json()["code"]) == (400, "upload_checksum_mismatch")
    assert Video.objects.get().status == "uploading"


def test_expired_url_is_signed_again(api: APIClient, media: str, strict_s3: StrictS3):
    video = start(api).json()
    strict_s3.later = timedelta(seconds=3601)
    try:
        assert send(video["upload"], b"12345").status_code == 403
    finally:
        strict_s3.later = timedelta()
    signed = api.post(video["links"]["sign"])
    assert signed.status_code == 200
    assert send(signed.json()["upload"], b"12345").status_code == 200
    assert api.post(video["links"]["finish"]).status_code == 202


def test_finishing_twice_is_harmless(api: APIClient, owner: User, media: str):
    """Clients repeat what timed out."""
    video = start(api).json()
    send(video["upload"], b"12345")
    first = api.post(video["links"]["finish"])
    second = api.post(video["links"]["finish"])
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()


def test_start_that_is_sent_again_under_its_key_is_the_same_upload(api: APIClient, media: str):
    """A client whose connection broke off does not know whether it was heard."""
    first = start(api, idempotency_key="once")
    again = start(api, idempotency_key="once")
    assert again.status_code == 201
    assert (first.json()["id"], again["Idempotency-Replayed"]) == (again.json()["id"], "true")
    assert send(again.json()["upload"], b"12345").status_code == 200
    assert api.post(again.json()["links"]["finish"]).status_code == 202

    over = start(api, idempotency_key="once").json()
    assert (over["status"], "upload" in over) == ("probing", False)
    other = start(api, idempotency_key="once", size_bytes=6)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert Video.objects.count() == 1


def test_start_that_overtakes_its_own_repetition_is_the_same_upload(
    api: APIClient, media: str, monkeypatch: pytest.MonkeyPatch
):
    """Two requests under one key look for a video at the same time, and neither finds one."""
    first = start(api, idempotency_key="once").json()
    look, looked = uploads._started_before, []

    def too_early(video: Video) -> Video | None:
        looked.append(video)
        return look(video) if len(looked) > 1 else None

    monkeypatch.setattr(uploads, "_started_before", too_early)
    again = start(api, idempotency_key="once")
    assert (again.json()["id"], again["Idempotency-Replayed"]) == (first["id"], "true")
    assert Video.objects.count() == 1


def test_abort_that_overtakes_the_end_of_the_upload_wins(
    api: APIClient, media: str, monkeypatch: pytest.MonkeyPatch
):
    """Whoever changes the row first is right; the other learns it."""
    video = start(api).json()
    send(video["upload"], b"12345")
    stored = MediaBucket.stored

    def meanwhile(bucket: MediaBucket, key: str) -> Any:
        assert api.post(video["links"]["abort"]).status_code == 200
        return stored(bucket, key)

    monkeypatch.setattr(MediaBucket, "stored", meanwhile)
    answer = api.post(video["links"]["finish"])
    assert (answer.status_code, answer.json()["code"]) == (409, "upload_aborted")
    assert Video.objects.get().status == "aborted"


def test_two_owners_may_use_the_same_key(api: APIClient, stranger_api: APIClient, media: str):
    assert start(api, idempotency_key="1").json()["id"] != start(stranger_api, idempotency_key="1").json()["id"]


def test_finishing_without_a_file_is_refused(api: APIClient, media: str):
    video = start(api).json()
    answer = api.post(video["links"]["finish"])
    assert answer.status_code == 400
    assert answer.json()["code"] == "upload_missing"
    assert answer.json()["errors"]["video"]
    assert Video.objects.get().status == "uploading"


def test_finishing_a_file_of_another_size_is_refused(api: APIClient, owner: User, media: str, s3_client: Any):
    video = start(api, size_bytes=5).json()
    s3_client.put_object(Bucket=media, Key=upload_key(owner.pk, UUID(video["id"])), Body=b"123")
    answer = api.post(video["links"]["finish"])
    assert answer.status_code == 400
    assert answer.json()["code"] == "upload_incomplete"
    assert answer.json()["errors"] == {"size_bytes": ["5 bytes were declared, 3 bytes were uploaded."]}
    assert Video.objects.get().status == "uploading"


def test_aborted_upload_takes_nothing_any_more(api: APIClient, media: str):
    video = start(api).json()
    assert api.post(video["links"]["abort"]).json()["status"] == "aborted"
    assert api.post(video["links"]["abort"]).json()["status"] == "aborted"
    for step in ("sign", "finish"):
        answer = api.post(video["links"][step])
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_aborted")


@pytest.mark.parametrize("status", ["probing", "ready", "refused"])
def test_finished_upload_can_be_neither_aborted_nor_signed(api: APIClient, owner: User, media: str, status: str):
    columns = {"refusal_code": "video_empty"} if status == "refused" else {}
    video = make_video(owner, status=status, **columns)
    for step in ("abort", "sign"):
        answer = api.post(f"/api/videos/{video.pk}/{step}")
        assert (answer.status_code, answer.json()["code"]) == (409, "upload_over")
        assert answer.json()["errors"] == {"status": [f"It is {status}."]}
    video.refresh_from_db()
    assert video.status == status


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        pytest.param({"filename": ""}, "filename", id="no name"),
        pytest.param({"filename": "a" * 256}, "filename", id="name too long"),
        pytest.param({"filename": "a\nb.mp4"}, "filename", id="control character in name"),
        pytest.param({"filename": None}, "filename", id="name is null"),
        pytest.param({"size_bytes": -1}, "size_bytes", id="negative size"),
        pytest.param({"size_bytes": "many"}, "size_bytes", id="size is a text"),
        pytest.param({"size_bytes": 10**15}, "size_bytes", id="more than anybody may upload"),
        pytest.param({"size_bytes": 5 * GIB + 1}, "multipart", id="more than one PUT can carry"),
        pytest.param({"content_type": "video"}, "content_type", id="not a media type"),
        pytest.param({"content_type": "video/mp4\r\nx: y"}, "content_type", id="header injection"),
        pytest.param({"checksum_algorithm": "MD5"}, "checksum_algorithm", id="unknown algorithm"),
        pytest.param({"checksum_algorithm": "SHA256"}, "checksum", id="algorithm without checksum"),
        pytest.param({"checksum": "AAAAAA=="}, "checksum", id="checksum without algorithm"),
        pytest.param({"checksum_algorithm": "SHA256", "checksum": "AAAAAA=="}, "checksum", id="too short"),
        pytest.param({"checksum_algorithm": "CRC32", "checksum": "%&!"}, "checksum", id="not base64"),
        pytest.param({"checksum_algorithm": "CRC32", "checksum": "ü"}, "checksum", id="not even ASCII"),
        pytest.param(
            {"multipart": True, "checksum_algorithm": "CRC32", "checksum": "AAAAAA=="}, "checksum", id="of parts"
        ),
        pytest.param({"codec": "h264"}, "codec", id="unknown field"),
    ],
)
def test_faulty_fields_are_named_and_nothing_is_stored(api: APIClient, media: str, fields: Any, faulty: str):
    answer = start(api, **fields)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [faulty]
    assert not Video.objects.exists()


@pytest.mark.parametrize("multipart", [False, True], ids=["in one piece", "in parts"])
def test_empty_file_is_refused_before_anything_is_sent(api: APIClient, media: str, multipart: bool):
    answer = start(api, size_bytes=0, multipart=multipart)
    assert (answer.status_code, answer.json()["code"]) == (400, "file_empty")
    assert list(answer.json()["errors"]) == ["size_bytes"]
    assert not Video.objects.exists()


def test_largest_file_in_one_piece_and_missing_type_are_accepted(api: APIClient, media: str):
    answer = start(api, size_bytes=5 * GIB, content_type="")
    assert answer.status_code == 201
    assert answer.json()["upload"]["headers"] == {"Content-Type": "application/octet-stream"}


def test_videos_are_listed_newest_first_page_by_page(api: APIClient, media: str):
    names = [f"{number}.mp4" for number in range(5)]
    for name in names:
        start(api, filename=name)
    listed, link = [], "/api/videos?page_size=2"
    pages = 0
    while link:
        page = api.get(link).json()
        listed += [video["filename"] for video in page["results"]]
        link = page["next"]
        pages += 1
    assert listed == names[::-1]
    assert pages == 3


def test_missing_bucket_is_503_and_not_a_missing_upload(api: APIClient, media: str, settings: Any):
    """A bucket nobody answers for is our trouble, not a missing upload."""
    video = start(api).json()
    settings.MEDIA_BUCKET = "a-bucket-that-does-not-exist"
    answer = api.post(video["links"]["finish"])
    assert answer.status_code == 503
    assert answer.json()["code"] == "storage_unavailable"
    assert int(answer["Retry-After"]) > 0
    assert Video.objects.get().status == "uploading"


def test_storage_that_refuses_connections_is_503(
    api: APIClient, media: str, monkeypatch: pytest.MonkeyPatch, settings: Any
):
    video = start(api).json()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    settings.MEDIA_BUCKET = "bucket-behind-a-closed-port"
    answer = api.post(video["links"]["finish"])
    assert answer.status_code == 503
    assert answer.json()["code"] == "storage_unavailable"


def test_origin_of_the_bucket_is_that_of_its_urls(media: str, aws_endpoint: str):
    """The page's content security policy allows exactly this origin."""
    assert MediaBucket(media).origin == aws_endpoint
