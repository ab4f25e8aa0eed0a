"""What an owner deletes is gone: at once for everybody who looks, soon after from the disks."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db.models.functions import Now
from moto.s3.models import s3_backends
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.gateways.errors import StorageUnavailable
from backend.gateways.s3 import MediaBucket
from backend.videos import deleting
from backend.videos.deleting import REMOVED_AFTER, delete_analysis, remove_analysis
from backend.videos.models import (
    Analysis,
    AnalysisEvent,
    Chunk,
    DeadRequest,
    Detection,
    IdempotencyKey,
    OutboxMessage,
    OwedCall,
    Second,
    Track,
    Video,
)
from backend.videos.owed_calls import settle_once
from contract.keys import analysis_prefix
from tests.backend.making import make_analysis, make_finished, make_second, make_track, make_video

pytestmark = pytest.mark.django_db

OF_AN_ANALYSIS = (AnalysisEvent, Chunk, DeadRequest, Detection, IdempotencyKey, OutboxMessage, Second, Track)


def delete(api: APIClient, analysis: Analysis) -> Any:
    return api.delete(f"/api/analyses/{analysis.pk}")


def make_everything(owner: User, **columns: Any) -> Analysis:
    """One of each row that belongs to an analysis, and seven detections in five frames."""
    analysis = make_finished(owner, [2, 0, 3, 1, 1], **columns)
    make_track(analysis, 1)
    make_second(analysis, 0)
    AnalysisEvent.objects.create(analysis=analysis, status="queued", source="backend")
    OutboxMessage.objects.create(analysis=analysis, body="{}")
    DeadRequest.objects.create(analysis=analysis, message_id=str(analysis.pk), body="{}")
    IdempotencyKey.objects.create(owner=owner, key=str(analysis.pk), digest="", analysis=analysis)
    return analysis


def put_objects(s3_client: Any, bucket: str, analysis: Analysis) -> None:
    for name in ("thumbnails/000.jpg", "poster.jpg", "annotated.mp4"):
        s3_client.put_object(Bucket=bucket, Key=analysis_prefix(analysis.pk) + name, Body=b"x")


def remove_all_of(analysis: Analysis, bucket: MediaBucket) -> None:
    while remove_analysis(str(analysis.pk), bucket=bucket) is not None:
        pass


def keys_in(s3_client: Any, bucket: str) -> list[str]:
    return [found["Key"] for found in s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_deleted_analysis_is_out_of_sight_at_once(api: APIClient, owner: User, status: str):
    analysis = make_analysis(owner, status=status)
    assert delete(api, analysis).status_code == 204
    assert delete(api, analysis).status_code == 404
    assert api.get("/api/analyses").json()["results"] == []
    owed = OwedCall.objects.get()
    assert (owed.kind, owed.subject) == ("remove_analysis", str(analysis.pk))
    assert owed.not_before - owed.created_at == REMOVED_AFTER


def test_pages_do_not_show_it_either(client: Any, owner: User):
    kept = make_analysis(owner, status="succeeded")
    gone = make_analysis(owner, video=kept.video, status="failed", deleted_at=Now())
    client.force_login(owner)
    for path in ("/", f"/videos/{kept.video_id}"):
        page = client.get(path).content.decode()
        assert str(kept.pk) in page
        assert str(gone.pk) not in page


@pytest.mark.parametrize("status", ["queued", "submitted", "running"])
def test_what_is_under_way_is_cancelled_first(api: APIClient, owner: User, status: str):
    analysis = make_analysis(owner, status=status)
    answer = delete(api, analysis)
    assert answer.status_code == 409
    assert answer.json()["code"] == "analysis_not_over"
    assert answer.json()["errors"] == {"status": [f"It is {status}."]}
    analysis.refresh_from_db()
    assert (analysis.deleted_at, OwedCall.objects.count()) == (None, 0)


def test_key_of_a_deleted_analysis_is_free_again(api: APIClient, owner: User):
    """Otherwise a repeated request would be answered with something that is not there."""
    body = {"video": str(make_video(owner).pk)}
    first = api.post("/api/analyses", body, format="json", HTTP_IDEMPOTENCY_KEY="k").json()
    Analysis.objects.update(status="failed")
    api.delete(first["links"]["self"])
    again = api.post("/api/analyses", body, format="json", HTTP_IDEMPOTENCY_KEY="k")
    assert again.status_code == 202
    assert again.json()["id"] != first["id"]


def test_another_try_forgets_the_one_that_was_deleted(api: APIClient, owner: User):
    first = make_analysis(owner, status="failed")
    again = api.post(f"/api/analyses/{first.pk}/retry", {}, format="json").json()
    delete(api, first)
    assert api.get(again["links"]["self"]).json()["retry_of"] is None


@pytest.mark.parametrize("frames_at_a_time", [1, 2, 5, 100])
def test_removal_leaves_no_row_and_no_object_and_touches_no_other(
    owner: User, media: str, s3_client: Any, monkeypatch: pytest.MonkeyPatch, frames_at_a_time: int
):
    monkeypatch.setattr(deleting, "FRAMES_AT_A_TIME", frames_at_a_time)
    gone, kept = make_everything(owner), make_everything(owner)
    rows_of_kept = {model: model.objects.filter(analysis_id=kept.pk).count() for model in OF_AN_ANALYSIS}
    assert all(rows_of_kept.values())
    for analysis in (gone, kept):
        put_objects(s3_client, media, analysis)
    for _ in range(2):  # the worker may have been killed before it could note that it was done
        remove_all_of(gone, MediaBucket(media))
        assert {model: model.objects.count() for model in OF_AN_ANALYSIS} == rows_of_kept
        assert list(Analysis.objects.all()) == [kept]
        assert Video.objects.count() == 2
        assert {key.split("/")[1] for key in keys_in(s3_client, media)} == {str(kept.pk)}


def test_each_slice_stays_deleted_whatever_happens_to_the_next(
    owner: User, media: str, monkeypatch: pytest.MonkeyPatch
):
    """Or a worker that is stopped in the middle of many millions of rows would begin with the first for ever."""
    monkeypatch.setattr(deleting, "FRAMES_AT_A_TIME", 2)
    analysis = make_everything(owner)
    delete_analysis(analysis=analysis)
    OwedCall.objects.update(not_before=Now(), attempts=3)
    calls = {"remove_analysis": partial(remove_analysis, bucket=MediaBucket(media))}
    assert settle_once(calls) == 1
    assert set(Detection.objects.values_list("frame_index", flat=True)) == {2, 3, 4}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert settle_once({"remove_analysis": partial(remove_analysis, bucket=MediaBucket(media))}) == 1
    assert Detection.objects.count() == 5
    assert OwedCall.objects.get(done_at=None).attempts == 1  # in a row
    monkeypatch.undo()
    OwedCall.objects.update(not_before=Now())
    while settle_once(calls):
        pass
    assert not Analysis.objects.exists()
    assert not OwedCall.objects.filter(kind="remove_analysis", done_at=None).exists()


def test_more_objects_than_one_call_deletes(owner: User, media: str, s3_client: Any):
    analysis = make_analysis(owner, status="failed")
    stored = s3_backends["123456789012"]["aws"]  # not by so many requests
    for number in range(1003):
        stored.put_object(media, f"{analysis_prefix(analysis.pk)}{number}", b"")
    assert len(keys_in(s3_client, media)) >= 1000
    remove_analysis(str(analysis.pk), bucket=MediaBucket(media))
    assert keys_in(s3_client, media) == []


def test_what_a_container_made_after_the_removal_goes_as_well(owner: User, media: str, s3_client: Any):
    """One that could not be ended draws its video, and learns only then that nobody wants it."""
    analysis = make_analysis(owner, status="cancelled")
    delete_analysis(analysis=analysis)
    bucket = MediaBucket(media)
    calls = {"remove_analysis": partial(remove_analysis, bucket=bucket), "remove_object": bucket.delete_under}
    OwedCall.objects.update(not_before=Now())
    assert settle_once(calls) == 1
    put_objects(s3_client, media, analysis)
    assert settle_once(calls) == 0  # not at once
    OwedCall.objects.filter(done_at=None).update(not_before=Now())
    assert settle_once(calls) == 1
    assert keys_in(s3_client, media) == []


def test_storage_away_keeps_the_rows(owner: User, media: str, monkeypatch: pytest.MonkeyPatch):
    """As long as objects may be left, something must know of them."""
    analysis = make_everything(owner)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageUnavailable):
        remove_analysis(str(analysis.pk), bucket=MediaBucket(media))
    assert Detection.objects.count() == 7


def test_removal_waits_until_nobody_can_be_reading(owner: User, api: APIClient):
    """And is then taken up by the loop that owes it."""
    analysis = make_analysis(owner, status="failed")
    delete(api, analysis)
    removed: list[str] = []
    assert deleting_loop(removed) == 0
    OwedCall.objects.update(not_before=Now() - timedelta(seconds=1))
    assert deleting_loop(removed) == 1
    assert removed == [str(analysis.pk)]


def deleting_loop(removed: list[str]) -> int:
    return settle_once({"remove_analysis": removed.append})
