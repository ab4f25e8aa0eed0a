"""Polls that are answered without REST framework: nobody gets more by them, and nobody sees a difference."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.renderers import JSONRenderer
from rest_framework.test import APIClient

from backend.accounts import throttling
from backend.accounts.authentication import ApiKeyAuthentication
from backend.accounts.models import ApiKey, Count, User
from backend.accounts.permissions import StatedScope
from backend.accounts.scopes import ALL, Scope
from backend.accounts.services import create_api_key, revoke_api_key
from backend.accounts.throttling import PlanThrottle, Rates
from backend.videos.apis import AnalysisDetail
from backend.videos.models import Analysis
from contract.plans import Plan
from tests.backend.making import DECODE_REPORT, SUMMARY, make_analysis

pytestmark = pytest.mark.django_db

AGE = timedelta(days=10_000)  # a window that does not end while a test runs
# REST framework gives the same for it, and nothing else does.
SLOWLY = "application/json, */*"


def asked(api: APIClient, analysis: Analysis, **headers: str) -> Any:
    return api.get(f"/api/analyses/{analysis.pk}", headers=headers)


def told(answer: Any) -> tuple[int, bytes, dict[str, str]]:
    """All of an answer but what changes with each request."""
    return answer.status_code, answer.content, {k: v for k, v in answer.items() if k != "RateLimit"}


def test_rules_of_the_view_are_those_that_quick_polls_ask():
    """One more of them would be asked of other requests alone."""
    assert AnalysisDetail.authentication_classes[0] is ApiKeyAuthentication
    assert AnalysisDetail.permission_classes == [StatedScope]
    assert AnalysisDetail.throttle_classes == [PlanThrottle]
    assert AnalysisDetail.renderer_classes == [JSONRenderer]


@pytest.fixture
def analysis(owner: User) -> Analysis:
    return make_analysis(owner)


@pytest.mark.parametrize(
    "columns",
    [
        {"status": "queued"},
        {"status": "submitted", "batch_state": "RUNNABLE", "batch_reason": "CAPACITY:"},
        {"status": "running", "stage": "analysing", "frames_done": 9, "frames_total": 90},
        {"status": "succeeded", "summary": SUMMARY, "decode_report": DECODE_REPORT, "model": "\u2028ü"},
        {"status": "failed", "error_code": "video_unreadable", "error_message": "No.", "error_retryable": False},
    ],
    ids=lambda columns: columns["status"],
)
def test_answer_is_that_of_rest_framework(
    api: APIClient, owner: User, columns: Any, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(throttling, "WINDOW", AGE)  # a new one would begin with a query of its own
    before = timezone.now() - timedelta(hours=1)
    analysis = make_analysis(owner, **columns, submitted_at=before, started_at=before, finished_at=before)
    asked(api, analysis)  # notes the key's use, once a minute
    with django_assert_num_queries(2):
        slow = asked(api, analysis, Accept=SLOWLY)
    for accept in ("*/*", "application/json"):
        with django_assert_num_queries(1):
            assert told(asked(api, analysis, Accept=accept)) == told(slow)
    assert told(asked(api, analysis)) == told(slow)


def test_answer_that_nothing_has_changed_is_that_of_rest_framework(api: APIClient, analysis: Analysis):
    etag = asked(api, analysis)["ETag"]
    quick, slow = (asked(api, analysis, **{"If-None-Match": etag, "Accept": way}) for way in ("*/*", SLOWLY))
    assert (quick.status_code, quick.content) == (304, b"")
    assert told(quick) == told(slow)


def test_revoked_key_is_refused_at_the_next_poll(api: APIClient, analysis: Analysis, owner: User):
    etag = asked(api, analysis)["ETag"]
    assert revoke_api_key(user=owner, api_key_id=ApiKey.objects.get().pk)
    answer = asked(api, analysis)
    assert (answer.status_code, answer.json()["code"]) == (401, "authentication_failed")
    assert answer["WWW-Authenticate"] == "Api-Key"
    assert asked(api, analysis, **{"If-None-Match": etag}).status_code == 401


@pytest.mark.parametrize(
    "key",
    [
        pytest.param({"expires_at": timezone.now() - timedelta(seconds=1)}, id="expired"),
        pytest.param({"digest": "0" * 64}, id="another secret with the prefix"),
    ],
)
def test_key_that_does_not_hold_is_refused(api: APIClient, analysis: Analysis, key: Any):
    ApiKey.objects.update(**key)
    assert asked(api, analysis).status_code == 401


def test_key_of_an_inactive_user_is_refused(api: APIClient, analysis: Analysis, owner: User):
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert asked(api, analysis).status_code == 401


def test_other_tenants_and_deleted_analyses_look_like_none(
    api: APIClient, stranger_api: APIClient, analysis: Analysis
):
    foreign = asked(stranger_api, analysis)
    never = stranger_api.get(f"/api/analyses/{uuid4()}")
    assert foreign.status_code == never.status_code == 404
    assert foreign.content == never.content
    Analysis.objects.update(deleted_at=Now())
    assert asked(api, analysis).status_code == 404


def test_each_of_two_keys_gets_its_own_users_analyses(
    api: APIClient, stranger_api: APIClient, analysis: Analysis, stranger: User
):
    theirs = make_analysis(stranger)
    for client, own, other in ((api, analysis, theirs), (stranger_api, theirs, analysis)):
        assert asked(client, own).json()["id"] == str(own.pk)
        assert asked(client, other).status_code == 404


def test_key_without_the_scope_is_refused(anonymous: APIClient, analysis: Analysis, owner: User):
    scopes = [scope for scope in ALL if scope != Scope.ANALYSES_READ]
    key = create_api_key(user=owner, name="test", scopes=scopes).key
    answer = asked(anonymous, analysis, Authorization=f"Bearer {key}")
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_each_poll_counts_once_and_too_many_are_refused(
    api: APIClient, analysis: Analysis, owner: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(throttling, "WINDOW", AGE)
    monkeypatch.setitem(throttling.RATES, Plan(owner.plan), Rates(reads=3, changes=2))
    answers = [asked(api, analysis) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    lefts = [answer["RateLimit"].partition(";t=")[0] for answer in answers]
    assert lefts == [f'"reads";r={left}' for left in (2, 1, 0, 0, 0)]
    assert answers[-1].json()["code"] == "throttled"
    assert int(answers[-1]["Retry-After"]) > 0
    assert Count.objects.get(subject=f"reads:{owner.pk}").taken == 5


def test_use_of_the_key_is_noted(api: APIClient, analysis: Analysis):
    asked(api, analysis)
    assert ApiKey.objects.get().last_used_at is not None


def test_what_rest_framework_would_refuse_is_refused(api: APIClient, analysis: Analysis):
    answer = asked(api, analysis, Accept="text/html")
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    assert api.post(f"/api/analyses/{analysis.pk}").status_code == 405


def test_head_has_the_headers_and_no_body(api: APIClient, analysis: Analysis):
    head = api.head(f"/api/analyses/{analysis.pk}")
    assert (head.status_code, head.content) == (200, b"")
    assert head["ETag"] == asked(api, analysis)["ETag"]


@pytest.mark.parametrize("header", ["Api-Key", "Api-Key a b", "Api-Key fb_", "Api-Key fb_ü"])
def test_what_is_no_key_is_refused(anonymous: APIClient, analysis: Analysis, header: str):
    assert asked(anonymous, analysis, Authorization=header).status_code == 401
    assert asked(anonymous, analysis).status_code == 401
