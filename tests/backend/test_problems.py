"""Every error under /api/ has one shape, whoever noticed it."""

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.videos import selectors

pytestmark = pytest.mark.django_db

MEMBERS = {"type", "title", "status", "detail", "code", "errors"}


def assert_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"
    document = answer.json()
    assert set(document) == MEMBERS
    assert document["status"] == status
    assert document["code"] == code
    assert document["type"] == f"urn:framebatch:problem:{code.replace('_', '-')}"
    assert document["title"]
    assert document["detail"]
    return document


def raising(exception: Exception) -> Any:
    def fails(*args: Any, **kwargs: Any) -> None:
        raise exception

    return fails


@pytest.fixture
def quiet_api(api: APIClient) -> APIClient:
    """Answers 500 as a server would, instead of raising into the test."""
    api.raise_request_exception = False
    return api


def test_unknown_path(api: APIClient):
    assert_problem(api.get("/api/nothing-here"), 404, "not_found")


def test_trailing_slash_is_another_path(api: APIClient):
    assert_problem(api.get("/api/videos/"), 404, "not_found")


def test_unknown_id(api: APIClient):
    assert_problem(api.get("/api/videos/00000000-0000-0000-0000-000000000000"), 404, "not_found")


def test_method_that_does_not_exist(api: APIClient):
    answer = api.put("/api/videos", {}, format="json")
    assert_problem(answer, 405, "method_not_allowed")
    assert "POST" in answer["Allow"]


def test_body_that_is_not_json(api: APIClient):
    assert_problem(api.post("/api/videos", "{", content_type="application/json"), 400, "parse_error")


def test_body_that_is_not_an_object(api: APIClient):
    document = assert_problem(api.post("/api/videos", [1], format="json"), 400, "invalid")
    assert document["errors"]


def test_body_of_another_type(api: APIClient):
    answer = api.post("/api/videos", "filename=a", content_type="application/x-www-form-urlencoded")
    assert_problem(answer, 415, "unsupported_media_type")


def test_body_that_is_too_large(api: APIClient):
    """Nobody's request may fill the server's memory."""
    answer = api.post("/api/videos", {"filename": "a" * 300_000}, format="json")
    assert_problem(answer, 413, "body_too_large")


def test_answer_of_another_type(api: APIClient):
    assert_problem(api.get("/api/videos", HTTP_ACCEPT="text/csv"), 406, "not_acceptable")


def test_nobody_in_particular(anonymous: APIClient):
    assert_problem(anonymous.get("/api/videos"), 401, "not_authenticated")


def test_wrong_key(anonymous: APIClient):
    answer = anonymous.get("/api/videos", HTTP_AUTHORIZATION="Api-Key fb_000000000000_nonsense")
    assert_problem(answer, 401, "authentication_failed")


def test_session_without_csrf_token(owner: User):
    """A foreign page must not be able to post with a visitor's cookie."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = client.post("/api/videos", {}, content_type="application/json")
    assert_problem(answer, 403, "csrf_failed")


def test_host_that_is_not_ours(api: APIClient):
    assert_problem(api.get("/api/videos", HTTP_HOST="evil.example"), 400, "bad_request")


def test_our_own_fault_says_nothing_of_its_inside(quiet_api: APIClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(selectors, "videos_of", raising(RuntimeError("secret detail")))
    answer = quiet_api.get("/api/videos")
    assert_problem(answer, 500, "internal_error")
    assert b"secret" not in answer.content


@pytest.mark.parametrize("exception", [OperationalError("gone"), InterfaceError("gone")])
def test_database_going_away_in_the_middle(
    quiet_api: APIClient, monkeypatch: pytest.MonkeyPatch, exception: Exception
):
    monkeypatch.setattr(selectors, "videos_of", raising(exception))
    answer = quiet_api.get("/api/videos")
    assert_problem(answer, 503, "database_unavailable")
    assert int(answer["Retry-After"]) > 0


def test_page_is_answered_with_a_page(owner: User, monkeypatch: pytest.MonkeyPatch):
    client = Client(raise_request_exception=False)
    client.force_login(owner)
    assert client.get("/nothing-here").status_code == 404
    monkeypatch.setattr(selectors, "videos_with_latest_analyses", raising(OperationalError("gone")))
    answer = client.get("/")
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert answer["Content-Type"].startswith("text/html")
    assert "What was stored stays stored" in answer.content.decode()
