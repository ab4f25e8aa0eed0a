"""A video is a row, a presigned URL, and a check that the file has arrived."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from django.db import OperationalError
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.gateways.s3 import MediaBucket
from backend.videos.models import Video
from contract.keys import upload_key

pytestmark = pytest.mark.django_db

GIB = 1024**3


def start(api: APIClient, **fields: Any) -> Any:
    body = {"filename": "a.mp4", "size_bytes": 5, "content_type": "video/mp4", **fields}
    return api.post("/api/videos", body, format="json")


def test_upload_goes_through_the_presigned_url_and_is_then_finished(
    api: APIClient, owner: User, media: str, s3_client: Any
):
    started = start(api, filename="Ünïcode ../clip.mp4", size_bytes=5)
    assert started.status_code == 201
    video = started.json()
    assert video["status"] == "uploading"
    assert video["filename"] == "Ünïcode ../clip.mp4"
    assert started["Location"] == f"/api/videos/{video['id']}"

    upload = video["upload"]
    answer = httpx.request(upload["method"], upload["url"], headers=upload["headers"], content=b"12345")
    assert answer.status_code == 200
    key = upload_key(owner.pk, UUID(video["id"]))
    assert s3_client.get_object(Bucket=media, Key=key)["ContentType"] == "video/mp4"

    finished = api.post(f"/api/videos/{video['id']}/finish")
    assert finished.status_code == 200
    assert finished.json()["status"] == "uploaded"
    assert finished.json()["uploaded_at"] is not None
    assert "upload" not in finished.json()


def test_database_lost_at_the_last_moment_leaves_no_video(
    api: APIClient, media: str, monkeypatch: pytest.MonkeyPatch
):
    """Nothing is asked of the database after the commit."""

    def fails(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(Video, "refresh_from_db", fails)
    assert start(api).status_code == 503
    assert not Video.objects.exists()


def test_url_is_signed_for_the_declared_size_and_type(api: APIClient, media: str):
    """S3 then refuses a larger file; the size limit would otherwise be a promise nobody keeps."""
    url = httpx.URL(start(api, size_bytes=7).json()["upload"]["url"])
    assert set(url.params["X-Amz-SignedHeaders"].split(";")) == {"content-length", "content-type", "host"}
    assert not [name for name in url.params if "checksum" in name.lower()]


def test_finishing_twice_is_harmless(api: APIClient, owner: User, media: str, s3_client: Any):
    """Clients repeat what timed out."""
    video = start(api).json()
    s3_client.put_object(Bucket=media, Key=upload_key(owner.pk, UUID(video["id"])), Body=b"12345")
    first = api.post(f"/api/videos/{video['id']}/finish")
    second = api.post(f"/api/videos/{video['id']}/finish")
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()


def test_empty_file_is_accepted(api: APIClient, owner: User, media: str, s3_client: Any):
    """The job says clearly that it is empty; the upload has no reason to know better."""
    video = start(api, size_bytes=0).json()
    answer = httpx.put(video["upload"]["url"], headers=video["upload"]["headers"], content=b"")
    assert answer.status_code == 200
    assert api.post(f"/api/videos/{video['id']}/finish").json()["status"] == "uploaded"


def test_finishing_without_a_file_is_refused(api: APIClient, media: str):
    video = start(api).json()
    answer = api.post(f"/api/videos/{video['id']}/finish")
    assert answer.status_code == 400
    assert answer.json()["code"] == "upload_missing"
    assert answer.json()["errors"]["video"]
    assert Video.objects.get().status == "uploading"


def test_finishing_a_file_of_another_size_is_refused(api: APIClient, owner: User, media: str, s3_client: Any):
    video = start(api, size_bytes=5).json()
    s3_client.put_object(Bucket=media, Key=upload_key(owner.pk, UUID(video["id"])), Body=b"123")
    answer = api.post(f"/api/videos/{video['id']}/finish")
    assert answer.status_code == 400
    assert answer.json()["code"] == "upload_incomplete"
    assert answer.json()["errors"] == {"size_bytes": ["5 bytes were declared, 3 bytes were uploaded."]}
    assert Video.objects.get().status == "uploading"


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        pytest.param({"filename": ""}, "filename", id="no name"),
        pytest.param({"filename": "a" * 256}, "filename", id="name too long"),
        pytest.param({"filename": "a\nb.mp4"}, "filename", id="control character in name"),
        pytest.param({"filename": None}, "filename", id="name is null"),
        pytest.param({"size_bytes": -1}, "size_bytes", id="negative size"),
        pytest.param({"size_bytes": "many"}, "size_bytes", id="size is a text"),
        pytest.param({"size_bytes": 5 * GIB + 1}, "size_bytes", id="more than one PUT can carry"),
        pytest.param({"content_type": "video"}, "content_type", id="not a media type"),
        pytest.param({"content_type": "video/mp4\r\nx: y"}, "content_type", id="header injection"),
        pytest.param({"codec": "h264"}, "codec", id="unknown field"),
    ],
)
def test_faulty_fields_are_named_and_nothing_is_stored(api: APIClient, media: str, fields: Any, faulty: str):
    answer = start(api, **fields)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [faulty]
    assert not Video.objects.exists()


def test_largest_file_and_missing_type_are_accepted(api: APIClient, media: str):
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
    answer = api.post(f"/api/videos/{video['id']}/finish")
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
    answer = api.post(f"/api/videos/{video['id']}/finish")
    assert answer.status_code == 503
    assert answer.json()["code"] == "storage_unavailable"


def test_origin_of_the_bucket_is_that_of_its_urls(media: str, aws_endpoint: str):
    """The page's content security policy allows exactly this origin."""
    assert MediaBucket(media).origin == aws_endpoint
