"""Nothing is kept longer than the settings say, and nothing that is still needed goes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts.models import Count, User
from backend.videos import retention, services
from backend.videos.models import Analysis, IdempotencyKey, OutboxMessage, OwedCall, Video
from backend.videos.retention import forget_once
from tests.backend.making import make_analysis, make_video

pytestmark = pytest.mark.django_db

DAYS = 30


@pytest.fixture(autouse=True)
def kept_for_thirty_days(settings: Any) -> None:
    settings.KEEP_ANALYSES_DAYS = settings.KEEP_VIDEOS_DAYS = settings.KEEP_RECORDS_DAYS = DAYS


def ago(days: float) -> Any:
    return timezone.now() - timedelta(days=days)


def ended(owner: User, days: float, status: str = "succeeded") -> Analysis:
    return make_analysis(owner, status=status, finished_at=ago(days))


def test_old_analyses_go_with_their_objects_and_young_ones_stay(owner: User):
    old, young = ended(owner, DAYS + 1), ended(owner, DAYS - 1)
    forget_once()
    assert set(Analysis.objects.filter(deleted_at=None)) == {young}
    assert OwedCall.objects.get(kind="remove_analysis").subject == str(old.pk)


def test_what_is_not_over_is_never_too_old(owner: User):
    for status in ("queued", "submitted", "running"):
        analysis = make_analysis(owner, status=status)
        Analysis.objects.filter(pk=analysis.pk).update(created_at=ago(DAYS * 2))
        Video.objects.filter(pk=analysis.video_id).update(created_at=ago(DAYS * 2))
    forget_once()
    assert Analysis.objects.filter(deleted_at=None).count() == 3
    assert Video.objects.count() == 3


def test_a_video_goes_when_nothing_is_made_of_it_any_more(owner: User):
    """Its object is owed to S3 in the same transaction, so that neither is left over."""
    used, unused, young = ended(owner, 1).video, make_video(owner), make_video(owner)
    Video.objects.filter(pk__in=[used.pk, unused.pk]).update(created_at=ago(DAYS + 1))
    forget_once()
    assert set(Video.objects.all()) == {used, young}
    assert OwedCall.objects.get(kind="remove_object").subject == unused.key


def test_what_only_helped_goes_with_time(owner: User):
    """History, messages and calls of what is long over; keys after a day. The analysis itself stays."""
    for days in (DAYS + 1, DAYS - 1):
        analysis = ended(owner, days)
        OutboxMessage.objects.create(analysis=analysis, body="{}", sent_at=ago(days))
        analysis.events.create(status="succeeded", source="job", at=ago(days))
        OwedCall.objects.create(kind="terminate_job", subject=f"job-{days}", done_at=ago(days))
    OwedCall.objects.create(kind="terminate_job", subject="owed", created_at=ago(DAYS + 1))
    for hours in (23, 25):
        IdempotencyKey.objects.create(
            owner=owner, key=str(hours), digest="d", analysis=analysis, created_at=ago(hours / 24)
        )
    retention._records()
    assert [message.analysis for message in OutboxMessage.objects.all()] == [analysis]
    assert analysis.events.count() == 1
    assert set(OwedCall.objects.values_list("subject", flat=True)) == {f"job-{DAYS - 1}", "owed"}
    assert IdempotencyKey.objects.get().key == "23"
    assert Analysis.objects.count() == 2


def test_sessions_that_have_ended_and_counts_of_yesterday_go(owner: User):
    for hours in (-1, 1):
        Session.objects.create(session_key=f"in {hours} h", expire_date=ago(-hours / 24))
        Count.objects.create(subject=f"{hours} h", began_at=ago(1 + hours / 24), taken=1)
    assert forget_once() == 2
    assert Session.objects.get().session_key == "in 1 h"
    assert Count.objects.get().subject == "-1 h"


@pytest.mark.parametrize("status", ["uploading", "aborted", "probing"])
def test_a_video_that_is_not_known_yet_is_not_too_old(owner: User, status: str):
    """S3 may be putting its parts together, and what came of that would lie there for ever."""
    make_video(owner, status=status, upload_id="parts", part_bytes=16 * 1024**2)
    Video.objects.update(created_at=ago(DAYS + 1))
    forget_once()
    assert Video.objects.exists()


def test_it_goes_on_until_nothing_is_left(owner: User, monkeypatch: pytest.MonkeyPatch):
    """In batches: a backlog of years must not become one statement."""
    monkeypatch.setattr(retention, "AT_A_TIME", 2)
    for _ in range(5):
        Video.objects.filter(pk=make_video(owner).pk).update(created_at=ago(DAYS + 1))
    assert [forget_once() for _ in range(4)] == [2, 2, 1, 0]


def test_without_settings_only_helpers_go(owner: User, settings: Any):
    settings.KEEP_ANALYSES_DAYS = settings.KEEP_VIDEOS_DAYS = None
    ended(owner, DAYS * 100)
    Video.objects.update(created_at=ago(DAYS * 100))
    forget_once()
    assert Analysis.objects.filter(deleted_at=None).count() == Video.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.integration
@pytest.mark.parametrize(
    ("step", "seen"),
    [
        pytest.param("hold_account", (404, False, False), id="before it is held"),
        pytest.param("reserve", (202, True, True), id="while it is held"),
    ],
)
def test_a_video_goes_before_an_analysis_of_it_is_asked_for_or_stays(
    api: APIClient,
    owner: User,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    seen: tuple[int, bool, bool],
):
    """Retention cannot see an analysis that is not committed yet; and it is no fault of the server."""
    settings.KEEP_VIDEOS_DAYS = 1
    video = make_video(owner)
    Video.objects.update(created_at=timezone.now() - timedelta(days=2))
    does = getattr(services, step)

    def overtaken(*args: Any) -> None:
        with ThreadPoolExecutor(1) as worker:
            worker.submit(lambda: (retention.forget_once(), connection.close())).result()
        does(*args)

    monkeypatch.setattr(services, step, overtaken)
    answer = api.post("/api/analyses", {"video": str(video.pk)}, format="json")
    assert (answer.status_code, Video.objects.exists(), Analysis.objects.exists()) == seen
