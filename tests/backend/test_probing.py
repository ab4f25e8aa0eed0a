"""A finished upload is looked at by the worker, and once it is a video, an analysis may be asked for."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.gateways.errors import StorageUnavailable
from backend.gateways.s3 import MediaBucket
from backend.probe.looking import ProbeFailed
from backend.videos import probing
from backend.videos.claiming import ATTEMPTS
from backend.videos.models import OutboxMessage, Video
from backend.videos.probing import probe_once
from tests.backend.making import make_video
from tests.backend.test_probe import clip
from tests.backend.test_uploads import send, start

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return clip(tmp_path_factory.mktemp("film") / "film.mp4", frames=25, rate=10)


@pytest.fixture
def bucket(media: str) -> MediaBucket:
    return MediaBucket(media)


def finished(api: APIClient, content: bytes) -> dict[str, Any]:
    video = start(api, size_bytes=len(content)).json()
    assert send(video["upload"], content).status_code == 200
    answer: dict[str, Any] = api.post(video["links"]["finish"]).json()
    assert answer["status"] == "probing"
    return answer


def lease_runs_out() -> None:
    Video.objects.update(probe_not_before=Now() - timedelta(seconds=1))


def test_video_is_ready_once_it_was_looked_at(api: APIClient, bucket: MediaBucket, film: bytes):
    video = finished(api, film)
    assert probe_once(bucket) == 1
    ready = api.get(video["links"]["self"])
    assert (ready.status_code, ready.json()["status"], ready.json()["error"]) == (200, "ready", None)
    assert ready.json()["facts"] == {
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "codec": "h264",
        "width": 64,
        "height": 48,
        "rotation_degrees": 0,
        "duration_us": 2_500_000,
        "frames": 25,
        "estimated": False,
    }
    assert probe_once(bucket) == 0


def test_length_and_content_travel_with_the_request(api: APIClient, bucket: MediaBucket, film: bytes):
    """The Lambda asks for as many jobs as the video is long; the job analyses what was looked at, or nothing."""
    video = finished(api, film)
    probe_once(bucket)
    assert api.post("/api/analyses", {"video": video["id"]}, format="json").status_code == 202
    message = json.loads(OutboxMessage.objects.get().body)
    assert message["video_seconds"] == 2.5
    assert message["video_etag"] == Video.objects.get().etag != ""


def test_what_is_no_video_is_refused_with_a_sentence(api: APIClient, bucket: MediaBucket):
    video = finished(api, b"Dear diary, this is not a video.")
    assert probe_once(bucket) == 1
    refused = api.get(video["links"]["self"]).json()
    assert refused["status"] == "refused"
    assert refused["error"] == {
        "code": "video_unreadable",
        "message": "The file is not a video that can be decoded.",
        "retryable": False,
    }
    answer = api.post("/api/analyses", {"video": video["id"]}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "video_refused")
    assert answer.json()["errors"] == {"video": [refused["error"]["message"]]}
    assert not OutboxMessage.objects.exists()


def test_analysis_of_a_file_that_is_still_looked_at_is_asked_for_again_later(api: APIClient, owner: User):
    answer = api.post("/api/analyses", {"video": str(make_video(owner, status="probing").pk)}, format="json")
    assert (answer.status_code, answer.json()["code"]) == (409, "video_not_ready")
    assert int(answer["Retry-After"]) > 0


def test_end_of_an_upload_waits_for_nobody_and_says_when_to_look_again(
    api: APIClient, bucket: MediaBucket, film: bytes, monkeypatch: pytest.MonkeyPatch
):
    """Whoever waits in the server holds a thread of it, and a worker that is away would let all of them wait."""
    video = start(api, size_bytes=len(film)).json()
    send(video["upload"], film)
    with monkeypatch.context() as patience:
        patience.setattr("time.sleep", lambda seconds: pytest.fail("it waits"))
        answer = api.post(video["links"]["finish"])
    assert (answer.status_code, answer.json()["status"]) == (202, "probing")
    assert int(answer["Retry-After"]) == 1
    probe_once(bucket)
    for again in (api.get(video["links"]["self"]), api.post(video["links"]["finish"])):
        assert (again.status_code, again.json()["status"]) == (200, "ready")


def test_file_that_was_replaced_behind_our_back_is_refused(
    api: APIClient, owner: User, bucket: MediaBucket, film: bytes, s3_client: Any
):
    """The URL is good for a while after the end of the upload."""
    finished(api, film)
    video = Video.objects.get()
    s3_client.put_object(Bucket=bucket.name, Key=video.key, Body=film[:-1] + b"x")
    probe_once(bucket)
    video.refresh_from_db()
    assert (video.status, video.refusal_code) == ("refused", "video_changed")


def test_storage_that_is_away_says_nothing_of_the_file(
    api: APIClient, bucket: MediaBucket, film: bytes, monkeypatch: pytest.MonkeyPatch
):
    def away(*args: Any, **kwargs: Any) -> bytes:
        raise StorageUnavailable("gone")

    finished(api, film)
    with monkeypatch.context() as outage:
        outage.setattr(MediaBucket, "read", away)
        for _ in range(ATTEMPTS + 1):
            lease_runs_out()
            with pytest.raises(StorageUnavailable):
                probe_once(bucket)
    assert probe_once(bucket) == 0  # not at once again
    lease_runs_out()
    assert probe_once(bucket) == 1
    assert Video.objects.get().status == "ready"


def test_one_file_is_looked_at_by_one_worker(
    api: APIClient, bucket: MediaBucket, film: bytes, monkeypatch: pytest.MonkeyPatch
):
    others: list[int] = []
    look_at = probing.look_at

    def while_another_comes(*args: Any, **limits: Any) -> Any:
        others.append(probe_once(bucket))
        return look_at(*args, **limits)

    finished(api, film)
    monkeypatch.setattr(probing, "look_at", while_another_comes)
    assert probe_once(bucket) == 1
    assert others == [0]


def test_file_of_a_worker_that_died_is_looked_at_by_the_next(
    api: APIClient, bucket: MediaBucket, film: bytes, monkeypatch: pytest.MonkeyPatch
):
    def dies(*args: Any, **limits: Any) -> None:
        raise KeyboardInterrupt

    finished(api, film)
    with monkeypatch.context() as death:
        death.setattr(probing, "look_at", dies)
        with pytest.raises(KeyboardInterrupt):
            probe_once(bucket)
    assert probe_once(bucket) == 0
    lease_runs_out()
    assert probe_once(bucket) == 1
    assert Video.objects.get().status == "ready"


def test_file_that_no_probe_comes_to_an_end_with_is_given_up(
    api: APIClient, bucket: MediaBucket, film: bytes, monkeypatch: pytest.MonkeyPatch
):
    """It must not keep the workers from all others, nor its owner waiting for ever."""

    def fails(*args: Any, **limits: Any) -> None:
        raise ProbeFailed("a fault of ours")

    monkeypatch.setattr(probing, "look_at", fails)
    video = finished(api, film)
    for _ in range(ATTEMPTS):
        lease_runs_out()
        assert probe_once(bucket) == 1
        assert Video.objects.get().status == "probing"
    lease_runs_out()
    assert probe_once(bucket) == 1
    assert api.get(video["links"]["self"]).json()["error"]["code"] == "internal"


def test_late_verdict_changes_nothing(
    api: APIClient, bucket: MediaBucket, film: bytes, monkeypatch: pytest.MonkeyPatch
):
    """A worker that was slower than its lease finds that another one has answered."""
    look_at = probing.look_at

    def overtaken(*args: Any, **limits: Any) -> Any:
        Video.objects.update(status="refused", refusal_code="video_empty")
        return look_at(*args, **limits)

    finished(api, film)
    monkeypatch.setattr(probing, "look_at", overtaken)
    probe_once(bucket)
    assert Video.objects.get().status == "refused"


def test_real_clips_are_what_they_are(api: APIClient, bucket: MediaBucket, videos: Path):
    """Lengths and sizes as ffprobe tells them."""
    expected = {"car-detection.mp4": (768, 432, 377), "nasa_13013_rotated.mp4": (270, 480, 17)}
    for name, (width, height, frames) in expected.items():
        video = finished(api, (videos / name).read_bytes())
        probe_once(bucket)
        facts = api.get(video["links"]["self"]).json()["facts"]
        assert (facts["width"], facts["height"], facts["frames"]) == (width, height, frames)
