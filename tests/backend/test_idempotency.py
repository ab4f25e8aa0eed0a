"""A client that does not know whether its request arrived sends it again, and pays once."""

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.videos import services
from backend.videos.errors import IdempotencyKeyReused
from backend.videos.models import Analysis, IdempotencyKey, OutboxMessage, Video
from tests.backend.making import make_video
from tests.backend.together import at_once

pytestmark = pytest.mark.django_db


def request(api: APIClient, video: Video, key: str, **body: Any) -> Any:
    return api.post("/api/analyses", {"video": str(video.pk), **body}, format="json", HTTP_IDEMPOTENCY_KEY=key)


def test_same_request_gives_the_same_analysis(api: APIClient, owner: User):
    video = make_video(owner)
    first = request(api, video, "k", options={"confidence": 0.4, "track": False})
    again = request(api, video, "k", options={"track": False, "confidence": 0.4})
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert (Analysis.objects.count(), OutboxMessage.objects.count()) == (1, 1)


def test_repeated_request_tells_how_the_analysis_stands_now(api: APIClient, owner: User):
    video = make_video(owner)
    request(api, video, "k")
    Analysis.objects.update(status="succeeded")
    assert request(api, video, "k").json()["status"] == "succeeded"


def test_another_request_under_the_same_key_is_refused(api: APIClient, owner: User):
    video = make_video(owner)
    request(api, video, "k", options={"confidence": 0.4})
    answer = request(api, video, "k", options={"confidence": 0.5})
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"
    assert list(answer.json()["errors"]) == ["Idempotency-Key"]
    assert Analysis.objects.count() == 1


def test_keys_of_two_owners_have_nothing_to_do_with_each_other(
    api: APIClient, stranger_api: APIClient, owner: User, stranger: User
):
    mine = request(api, make_video(owner), "k")
    theirs = request(stranger_api, make_video(stranger), "k")
    assert (mine.status_code, theirs.status_code) == (202, 202)
    assert mine.json()["id"] != theirs.json()["id"]


def test_refused_request_leaves_its_key_free(api: APIClient, owner: User):
    """Somebody who mends a faulty request should not have to think of a new key."""
    video = make_video(owner)
    assert request(api, video, "k", options={"confidence": 7}).status_code == 400
    assert not IdempotencyKey.objects.exists()
    assert request(api, video, "k", options={"confidence": 0.7}).status_code == 202


@pytest.mark.parametrize("key", ["", "k" * 256, "schlüssel", "a\tb"], ids=["empty", "long", "not ASCII", "tab"])
def test_key_that_cannot_be_used_is_named(api: APIClient, owner: User, key: str):
    answer = request(api, make_video(owner), key)
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["Idempotency-Key"]
    assert not Analysis.objects.exists()


def test_key_is_forgotten_after_a_day(api: APIClient, owner: User, stranger_api: APIClient, stranger: User):
    video = make_video(owner)
    first = request(api, video, "k")
    request(api, video, "old")
    request(stranger_api, make_video(stranger), "k")
    IdempotencyKey.objects.update(created_at=Now() - timedelta(hours=24, seconds=1))
    second = request(api, video, "k", options={"confidence": 0.5})
    assert second.status_code == 202
    assert second.json()["id"] != first.json()["id"]
    assert [key.key for key in IdempotencyKey.objects.filter(owner=owner)] == ["k"]  # the table does not grow
    assert IdempotencyKey.objects.filter(owner=stranger).count() == 1  # nobody waits for another's rows


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("expired", [False, True], ids=["new key", "expired key"])
def test_requests_at_the_same_moment_make_one_analysis(owner: User, expired: bool):
    """All pass the first look before any has committed; the database decides."""
    video = make_video(owner)
    if expired:
        request_with(owner, video, 0.9)
        IdempotencyKey.objects.update(created_at=Now() - timedelta(days=2))
    before = Analysis.objects.count()
    requested = at_once(5, lambda: request_with(owner, video, 0.4))
    assert len({answer.analysis.pk for answer in requested}) == 1
    assert [answer.replayed for answer in requested].count(False) == 1
    assert Analysis.objects.count() == OutboxMessage.objects.count() == before + 1


@pytest.mark.django_db(transaction=True)
def test_different_requests_at_the_same_moment_make_one_analysis(owner: User):
    video = make_video(owner)
    confidences = iter((0.2, 0.3, 0.4, 0.5))

    def ask() -> object:
        try:
            return request_with(owner, video, next(confidences))
        except IdempotencyKeyReused:
            return None

    assert at_once(4, ask).count(None) == 3
    assert Analysis.objects.count() == OutboxMessage.objects.count() == 1


def request_with(owner: User, video: Video, confidence: float) -> services.RequestedAnalysis:
    return services.request_analysis(
        owner=owner, video_id=video.pk, model=None, options={"confidence": confidence}, idempotency_key="k"
    )
