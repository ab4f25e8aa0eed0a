"""An API key does what its owner allowed it, and a view that forgot to state its scope does nothing."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from backend.accounts.models import User
from backend.accounts.permissions import endpoint_of
from backend.accounts.scopes import ALL, SENTENCES, Scope
from backend.accounts.services import create_api_key
from backend.config.urls import API

pytestmark = pytest.mark.django_db

NOBODYS = "00000000-0000-4000-8000-000000000000"
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


def endpoints() -> list[Any]:
    """Every method of every view, with the scope that it states."""
    return [
        pytest.param(method, path_of(str(route.pattern)), endpoint_of(route.callback.view_class, method).scope)
        for route in API
        for method in ("GET", *sorted(UNSAFE))
        if hasattr(route.callback.view_class, method.lower())
    ]


def path_of(pattern: str) -> str:
    pattern = re.sub(r"<uuid:\w+>", NOBODYS, pattern)
    return "/" + re.sub(r"<(?:\w+:)?\w+>", "1", pattern)


def client_with(user: User, *scopes: str) -> APIClient:
    client = APIClient()
    key = create_api_key(user=user, name="test", scopes=scopes).key
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {key}")
    return client


@pytest.mark.parametrize(("method", "path", "scope"), endpoints())
def test_key_needs_the_scope_of_the_endpoint(owner: User, media: str, method: str, path: str, scope: Scope | None):
    every_other = client_with(owner, *(other for other in ALL if other != scope))
    refused = every_other.generic(method, path, "{}", content_type="application/json")
    assert refused.status_code == 403
    assert refused.json()["code"] == ("browser_only" if scope is None else "scope_missing")
    if scope is not None:
        assert f"lacks the scope {scope}." in refused.json()["detail"]
        allowed = client_with(owner, scope).generic(method, path, "{}", content_type="application/json")
        assert allowed.status_code != 403


@pytest.mark.parametrize(
    ("method", "path"), [entry.values[:2] for entry in endpoints() if entry.values[0] in UNSAFE]
)
def test_session_needs_the_csrf_token_to_change_anything(owner: User, method: str, path: str):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    answer = client.generic(method, path, "{}", content_type="application/json")
    assert answer.status_code == 403
    assert answer.json()["code"] == "csrf_failed"


@pytest.mark.parametrize("route", API, ids=lambda route: route.name)
def test_methods_that_an_endpoint_lacks_are_refused(api: APIClient, route: Any):
    for method in ("GET", *sorted(UNSAFE), "OPTIONS"):
        if method == "OPTIONS" or not hasattr(route.callback.view_class, method.lower()):
            answer = api.generic(method, path_of(str(route.pattern)))
            assert answer.status_code == 405
            assert answer.json()["code"] == "method_not_allowed"


def test_view_that_states_no_scope_is_refused_to_everybody(owner: User):
    class Forgotten(APIView):
        def get(self, request: Any) -> Response:
            return Response({})

    request = APIRequestFactory().get("/")
    force_authenticate(request, user=owner)
    assert Forgotten.as_view()(request).status_code == 403


def test_every_scope_says_what_it_allows():
    assert set(SENTENCES) == set(Scope)
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert set(re.findall(r"`(\w+:(?:read|write))`", page)) == set(Scope)
