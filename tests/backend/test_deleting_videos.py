"""A video that its owner deletes goes with all its analyses, and not while one of them is under way."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.gateways.errors import StorageUnavailable
from backend.gateways.s3 import MediaBucket
from backend.plans.limits import stored_bytes
from backend.videos import services
from backend.videos.deleting import REMOVED_AFTER, delete_video, remove_analysis, remove_video
from backend.videos.errors import VideoInUse, VideoNotFound
from backend.videos.expiring import expire_once, urls_last
from backend.videos.models import Analysis, Detection, OwedCall, Video
from backend.videos.owed_calls import settle_once
from backend.videos.probing import probe_once
from tests.backend.making import make_analysis, make_finished, make_video
from tests.backend.test_deleting import keys_in, make_everything, put_objects
from tests.backend.test_uploads import send, start
from tests.backend.together import at_once

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(days=1)


def delete(api: APIClient, video: Video) -> Any:
    return api.delete(f"/api/videos/{video.pk}")


def make_old_video(owner: User, **columns: Any) -> Video:
    """No URL of it is good any more."""
    return make_video(owner, signed_at=timezone.now() - LONG_AGO, **columns)


def settle_all(media: str, bucket: MediaBucket | None = None) -> None:
    """What is due, as the worker does."""
    bucket = bucket or MediaBucket(media)
    calls = {
        "remove_analysis": partial(remove_analysis, bucket=bucket),
        "remove_video": partial(remove_video, bucket=bucket),
        "remove_object": bucket.delete_under,
    }
    while settle_once(calls):
        pass


def test_deleted_video_is_out_of_sight_at_once_with_its_analyses(api: APIClient, owner: User):
    video, other = make_old_video(owner), make_finished(owner, [1])
    for status in ("succeeded", "failed", "cancelled"):
        make_analysis(owner, video=video, status=status)
    assert delete(api, video).status_code == 204
    assert delete(api, video).status_code == 404
    assert [row["id"] for row in api.get("/api/videos").json()["results"]] == [str(other.video_id)]
    assert [row["id"] for row in api.get("/api/analyses").json()["results"]] == [str(other.pk)]
    of_video = Analysis.objects.filter(video=video)
    owed = OwedCall.objects.all()
    assert sorted((call.kind, call.subject) for call in owed) == [
        *sorted(("remove_analysis", str(analysis.pk)) for analysis in of_video),
        ("remove_video", str(video.pk)),
    ]
    assert {call.not_before - call.created_at for call in owed} == {REMOVED_AFTER}


def test_nothing_can_be_asked_of_a_deleted_video(api: APIClient, owner: User):
    video = make_old_video(owner)
    failed = make_analysis(owner, video=video, status="failed")
    delete(api, video)
    for path in ("/api/quotes", "/api/analyses"):
        answer = api.post(path, {"video": str(video.pk)}, format="json")
        assert (answer.status_code, answer.json()["code"]) == (404, "video_not_found")
    for path in (f"/api/analyses/{failed.pk}/retry", f"/api/videos/{video.pk}/finish"):
        assert api.post(path).status_code == 404


@pytest.mark.parametrize("status", ["queued", "submitted", "running"])
def test_video_that_is_being_analysed_is_not_deleted(api: APIClient, owner: User, status: str):
    analysis = make_analysis(owner, status=status)
    make_analysis(owner, video=analysis.video, status="succeeded")
    answer = delete(api, analysis.video)
    assert (answer.status_code, answer.json()["code"]) == (409, "video_in_use")
    assert not Video.objects.exclude(deleted_at=None).exists()
    assert not Analysis.objects.exclude(deleted_at=None).exists()
    assert not OwedCall.objects.exists()
    api.post(f"/api/analyses/{analysis.pk}/cancel")
    assert delete(api, analysis.video).status_code == 204


def test_removal_leaves_no_row_and_no_object_and_touches_no_other(owner: User, media: str, s3_client: Any):
    video, kept = make_old_video(owner), make_everything(owner)
    gone = [make_everything(owner, video=video) for _ in range(2)]
    for analysis in (*gone, kept):
        put_objects(s3_client, media, analysis)
    for one in (video, kept.video):
        s3_client.put_object(Bucket=media, Key=one.key, Body=b"12345")
    delete_video(video=video)
    for _ in range(2):  # the worker may have been killed before it could note that it was done
        OwedCall.objects.update(not_before=Now(), done_at=None)
        settle_all(media)
        assert list(Video.objects.all()) == [kept.video]
        assert list(Analysis.objects.all()) == [kept]
        assert set(Detection.objects.values_list("analysis_id", flat=True)) == {kept.pk}
        left = {f"analyses/{kept.pk}/{name}" for name in ("thumbnails/000.jpg", "poster.jpg", "annotated.mp4")}
        assert set(keys_in(s3_client, media)) == {kept.video.key, *left}


def test_what_is_removed_stays_so_though_another_analysis_cannot_be(owner: User, media: str):
    """And the video waits for it, as often as it takes, without giving up."""
    video = make_old_video(owner)
    make_everything(owner, video=video)
    stays = make_everything(owner, video=video)
    delete_video(video=video)
    OwedCall.objects.update(not_before=Now())

    class Away(MediaBucket):
        def delete_under(self, prefix: str) -> None:
            if str(stays.pk) in prefix:
                raise StorageUnavailable(prefix)
            super().delete_under(prefix)

    settle_all(media, Away(media))
    assert list(Analysis.objects.all()) == [stays]
    assert set(Detection.objects.values_list("analysis_id", flat=True)) == {stays.pk}
    waits = OwedCall.objects.get(kind="remove_video")
    assert (waits.attempts, waits.last_error, waits.done_at) == (0, "", None)
    assert waits.not_before > timezone.now()
    OwedCall.objects.update(not_before=Now())
    settle_all(media)
    OwedCall.objects.update(not_before=Now())
    settle_all(media)
    assert not Video.objects.exists()


def test_storage_away_keeps_the_row_and_its_room(owner: User, media: str, monkeypatch: pytest.MonkeyPatch):
    """As long as the object may be there, something must know of it."""
    video = make_old_video(owner, size_bytes=7)
    delete_video(video=video)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable):
        remove_video(str(video.pk), bucket=MediaBucket(media))
    assert stored_bytes(owner) == 7


def test_removal_waits_until_nothing_can_come_by_a_url_any_more(api: APIClient, owner: User, media: str):
    """A file that is sent again after its removal would lie there for ever, and nobody would know."""
    video = start(api).json()
    send(video["upload"], b"12345")
    api.post(video["links"]["finish"])
    assert api.delete(video["links"]["self"]).status_code == 204
    owed = OwedCall.objects.get()
    assert owed.not_before - owed.created_at >= urls_last() - timedelta(minutes=1)


def test_parts_that_were_put_together_are_removed_at_once(api: APIClient, owner: User):
    """S3 takes no more of them, whatever URL one has."""
    delete_video(video=make_video(owner, upload_id="u", part_bytes=5))
    owed = OwedCall.objects.get()
    assert owed.not_before <= owed.created_at


@pytest.mark.parametrize("multipart", [False, True])
def test_upload_that_is_not_finished_is_given_up(
    api: APIClient, owner: User, media: str, s3_client: Any, multipart: bool
):
    video = start(api, multipart=multipart).json()
    assert api.delete(video["links"]["self"]).status_code == 204
    assert Video.objects.get().status == "aborted"
    assert not s3_client.list_multipart_uploads(Bucket=media).get("Uploads")
    Video.objects.update(signed_at=Now() - LONG_AGO)
    assert expire_once(MediaBucket(media)) == 1
    remove_video(video["id"], bucket=MediaBucket(media))
    assert not Video.objects.exists()


def test_key_of_a_deleted_upload_is_free_again(api: APIClient, media: str):
    """Otherwise a repeated request would be answered with something that is not there."""
    first = start(api, idempotency_key="k").json()
    api.delete(first["links"]["self"])
    again = start(api, idempotency_key="k")
    assert again.status_code == 201
    assert again.json()["id"] != first["id"]


def test_file_that_is_deleted_while_it_is_looked_at_stays_deleted(api: APIClient, media: str, owner: User):
    video = start(api).json()
    send(video["upload"], b"12345")
    api.post(video["links"]["finish"])
    api.delete(video["links"]["self"])
    MediaBucket(media).delete(Video.objects.get().key)
    assert probe_once(MediaBucket(media)) == 1
    assert api.get(video["links"]["self"]).status_code == 404


def test_page_of_a_video_has_a_button_for_it(client: Any, owner: User):
    video = make_video(owner)
    client.force_login(owner)
    page = client.get(f"/videos/{video.pk}").content.decode()
    assert f'data-ask="/api/videos/{video.pk}" data-method="DELETE" data-then="/"' in page
    delete_video(video=video)
    assert client.get(f"/videos/{video.pk}").status_code == 404


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_request_and_deletion_at_the_same_moment_are_not_both_granted(owner: User):
    """Or an analysis would be charged whose video is about to go."""
    for _ in range(8):
        video = make_old_video(owner)
        acts = iter([True, False])

        def act(video: Video = video, acts: Any = acts) -> str:
            try:
                if next(acts):
                    delete_video(video=video)
                    return "deleted"
                services.request_analysis(owner=owner, video_id=video.pk, model=None, options={})
            except VideoInUse:
                return "in use"
            except VideoNotFound:
                return "not found"
            return "requested"

        outcome = set(at_once(2, act))
        assert outcome in ({"deleted", "not found"}, {"requested", "in use"})


@pytest.mark.integration
@pytest.mark.django_db(transaction=True)
def test_request_that_has_seen_the_video_is_refused_once_it_is_deleted(
    owner: User, monkeypatch: pytest.MonkeyPatch
):
    """What was read before the account is held may have changed since."""
    video = make_old_video(owner)
    price = services.Asked.price

    def overtaken(self: Any, quote: Any) -> Any:
        with transaction.atomic():
            delete_video(video=video)
        return price(self, quote)

    monkeypatch.setattr(services.Asked, "price", overtaken)
    with pytest.raises(VideoNotFound):
        services.request_analysis(owner=owner, video_id=video.pk, model=None, options={})
    assert not Analysis.objects.exists()
