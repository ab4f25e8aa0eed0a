"""Whoever locks several rows of a user locks them in one order, so that no two wait for each other.

PostgreSQL would end one of the two with an error; here none comes, whoever is halfway when the other begins.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.models.functions import Now

from backend.accounts.models import User
from backend.plans.models import LedgerEntry
from backend.videos.deleting import delete_analysis, delete_video
from backend.videos.errors import VideoNotFound
from backend.videos.models import Analysis, DeadRequest, IdempotencyKey
from backend.videos.redriving import NothingToRedrive, redrive
from backend.videos.retention import forget_once
from backend.videos.services import RequestedAnalysis, request_analysis, retry_analysis
from tests.backend.making import make_analysis, make_video
from tests.backend.together import at_once, meanwhile

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]

LOOKS_WHETHER_IN_USE = 'AS "a" FROM "videos_analysis"'  # the account is held by then, and nothing else
ANALYSIS_LOCKED = 'UPDATE "videos_analysis"'
MESSAGE_STORED = "videos_outboxmessage"


def make_refused(owner: User) -> DeadRequest:
    failed = make_analysis(owner, status="failed", error_code="submission_failed")
    return DeadRequest.objects.create(message_id=str(failed.pk), analysis=failed, body="{}")


def asked_anew(dead: DeadRequest) -> tuple[int, int]:
    """How often, and how often it was charged."""
    retries = Analysis.objects.filter(retry_of=dead.analysis_id)
    charged = LedgerEntry.objects.filter(kind="reservation", analysis_id__in=retries.values("pk"))
    return retries.count(), charged.count()


def retry_of(dead: DeadRequest, key: str | None = None) -> RequestedAnalysis:
    failed = Analysis.objects.get(pk=dead.analysis_id)
    return retry_analysis(owner=failed.owner, analysis=failed, idempotency_key=key)


def test_deletion_of_a_video_and_a_request_that_clears_away_its_old_keys(owner: User):
    video = make_video(owner)
    earlier = make_analysis(owner, video=video, status="failed")
    IdempotencyKey.objects.create(owner=owner, key="old", digest="", analysis=earlier)
    IdempotencyKey.objects.update(created_at=Now() - timedelta(days=2))

    def ask() -> None:
        request_analysis(owner=owner, video_id=video.pk, model=None, options={}, idempotency_key="new")

    with meanwhile(ask, after=LOOKS_WHETHER_IN_USE) as other:
        delete_video(video=video)
    assert isinstance(other[0].exception(), VideoNotFound)
    assert not IdempotencyKey.objects.exists()


def test_request_and_retention_that_clear_away_the_same_keys(owner: User):
    analysis = make_analysis(owner, status="failed")
    for key in "abc":
        IdempotencyKey.objects.create(owner=owner, key=key, digest="", analysis=analysis)
    IdempotencyKey.objects.update(created_at=Now() - timedelta(days=2))
    with meanwhile(forget_once, after="FOR UPDATE") as other, transaction.atomic():
        # Backwards, as PostgreSQL may take them: no statement that only deletes says in which order.
        for key in "cba":
            IdempotencyKey.objects.select_for_update().filter(key=key).first()
        IdempotencyKey.objects.all().delete()
    assert other[0].exception() is None
    assert not IdempotencyKey.objects.exists()


def test_two_workers_that_clear_away_the_same_keys(owner: User):
    analysis = make_analysis(owner, status="failed")
    for number in range(600):
        IdempotencyKey.objects.create(owner=owner, key=str(number), digest="", analysis=analysis)
    IdempotencyKey.objects.update(created_at=Now() - timedelta(days=2))
    with meanwhile(forget_once, after="FOR UPDATE") as other:
        assert forget_once() == 500
    assert other[0].result() == 100


def test_deletion_of_a_video_and_an_operator_who_asks_for_it_anew(owner: User):
    dead = make_refused(owner)
    with meanwhile(lambda: redrive(dead), after=LOOKS_WHETHER_IN_USE) as other:
        delete_video(video=dead.analysis.video)  # type: ignore[union-attr]
    assert isinstance(other[0].exception(), NothingToRedrive)


def test_deletions_of_an_analysis_and_of_its_video(owner: User):
    video, first_id = make_video(owner), uuid4()
    with transaction.atomic():  # the other try stands first in the table
        make_analysis(owner, video=video, status="failed", retry_of_id=first_id)
        first = make_analysis(owner, video=video, status="failed", id=first_id)
    with meanwhile(lambda: delete_video(video=video), after=ANALYSIS_LOCKED) as other:
        delete_analysis(analysis=first)
    assert other[0].exception() is None
    assert not Analysis.objects.filter(deleted_at=None).exists()


def test_deletion_of_an_analysis_does_not_wait_for_another_try_that_is_about_to_end(owner: User):
    """Whoever ends that one holds it, and will want the account."""
    first = make_analysis(owner, status="failed")
    again = retry_analysis(owner=owner, analysis=first).analysis
    ends = Analysis.objects.filter(pk=again.pk)
    with meanwhile(lambda: delete_analysis(analysis=first), after=ANALYSIS_LOCKED) as other, transaction.atomic():
        ends.update(status="failed", finished_at=Now())
        assert other[0].done()
    assert other[0].exception() is None
    again.refresh_from_db()
    assert (again.status, again.retry_of) == ("failed", first)  # until the other one is removed
    assert LedgerEntry.objects.filter(analysis_id=again.pk, kind="refund").exists()


@pytest.mark.parametrize("key", [None, "k"])
def test_owner_who_comes_while_an_operator_asks_anew_gets_what_the_operator_made(owner: User, key: str | None):
    dead = make_refused(owner)
    with meanwhile(lambda: retry_of(dead, key), after=MESSAGE_STORED) as other:
        made = redrive(dead)
    retried = other[0].result()
    assert (retried.analysis, retried.replayed) == (made, True)
    assert asked_anew(dead) == (1, 1)
    assert key is None or retry_of(dead, key).analysis == made


def test_operator_who_comes_while_the_owner_tries_again_has_nothing_to_do(owner: User):
    dead = make_refused(owner)
    with meanwhile(lambda: redrive(dead), after=MESSAGE_STORED) as other:
        retry_of(dead)
    assert isinstance(other[0].exception(), NothingToRedrive)
    assert asked_anew(dead) == (1, 1)


def test_owner_and_operator_at_the_same_moment_ask_once(owner: User):
    for _ in range(8):
        dead = make_refused(owner)
        acts: Iterator[Callable[[DeadRequest], Any]] = iter([retry_of, redrive])

        def act(dead: DeadRequest = dead, acts: Iterator[Any] = acts) -> None:
            with contextlib.suppress(NothingToRedrive):
                next(acts)(dead)

        at_once(2, act)
        assert asked_anew(dead) == (1, 1)
        Analysis.objects.update(status="failed")  # there is room for so many


def test_owner_may_try_again_once_what_the_operator_made_is_over(owner: User):
    dead = make_refused(owner)
    made = redrive(dead)
    Analysis.objects.filter(pk=made.pk).update(status="failed")
    assert retry_of(dead).analysis != made
