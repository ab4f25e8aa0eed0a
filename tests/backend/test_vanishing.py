"""A video that is deleted and removed while another request is at work on it: that one finds no video."""

from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from backend.gateways.s3 import MediaBucket
from backend.videos.assembling import assemble_once
from backend.videos.models import OwedCall, Video
from tests.backend.test_deleting import keys_in
from tests.backend.test_deleting_videos import settle_all
from tests.backend.test_uploads import send, start
from tests.backend.together import removed_once_it_was_seen

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("method", "step"), [("delete", ""), ("post", "finish"), ("post", "abort"), ("post", "sign")]
)
def test_request_that_has_seen_it_says_that_there_is_no_such_video(
    api: APIClient, media: str, method: str, step: str
):
    video = start(api).json()
    send(video["upload"], b"12345")
    path = f"/api/videos/{video['id']}"
    with removed_once_it_was_seen(Video):
        answer = getattr(api, method)(f"{path}/{step}" if step else path)
    assert (answer.status_code, answer.json()["code"]) == (404, "video_not_found")


def test_parts_that_were_being_put_together_are_found_and_removed_later(
    api: APIClient, media: str, s3_client: Any, monkeypatch: pytest.MonkeyPatch
):
    """S3 may be halfway when it is told to abort, and nobody knows of the object that it then makes."""
    video = start(api, multipart=True).json()
    (part,) = api.post(video["links"]["sign"], {"parts": [{"number": 1}]}, format="json").json()["parts"]
    send(part, b"12345")

    def slow(self: MediaBucket, *, key: str, **arguments: Any) -> None:
        assert api.delete(video["links"]["self"]).status_code == 204
        settle_all(media)
        assert not Video.objects.exists()
        s3_client.put_object(Bucket=media, Key=key, Body=b"12345")

    monkeypatch.setattr(MediaBucket, "complete_parts", slow)
    assert api.post(video["links"]["finish"]).status_code == 202
    assert assemble_once(MediaBucket(media)) == 1
    assert len(keys_in(s3_client, media)) == 1
    settle_all(media)
    assert len(keys_in(s3_client, media)) == 1  # a day later, since putting together may take long
    OwedCall.objects.update(not_before=Now())
    settle_all(media)
    assert keys_in(s3_client, media) == []
