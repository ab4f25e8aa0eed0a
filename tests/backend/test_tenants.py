"""Two tenants, every endpoint: nobody sees, changes or even recognises what belongs to the other.

The matrix of the API is made from its description, so a new endpoint is in it; `Estate` has to know its ids.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.urls import URLPattern, get_resolver
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.config.urls import API, PAGES
from tests.backend.estates import Estate
from tests.backend.test_openapi import methods_of, path_of

pytestmark = pytest.mark.django_db

# How each page with an id of somebody's object is asked. A new page without a line here fails the first test.
FOREIGN_PAGES = {
    "video": "GET",
    "analysis": "GET",
    "api-key-revoke": "POST",
    "webhook": "GET",
    "webhook-change": "POST",
    "webhook-rotate-secret": "POST",
}
# Whose rows outlive their deletion, by the name of their id.
DELETED = {"analysis_id": "analyses", "video_id": "videos"}
OPEN_TO_ALL = {"sign-up", "login", "logout", "password-forgotten", "password-new"}
# Written with every request, whoever asks and whatever for.
NOT_AN_ESTATE = {"accounts_count", "django_session"}


class Operation:
    """One of the description, with the values that it is asked with."""

    def __init__(self, method: str, path: str, described: dict[str, Any]) -> None:
        self.method, self.path = method, path
        self.parameters = {
            part["name"]: part for part in described.get("parameters", ()) if part["in"] in ("path", "query")
        }
        content = described.get("requestBody", {}).get("content", {}).get("application/json", {})
        self.body = next((example["value"] for example in content.get("examples", {}).values()), None)
        self.browser_only = not any("ApiKey" in way for way in described["security"])
        self.names_something = "{" in path

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def ask(self, client: Client, ids: dict[str, Any], fields: dict[str, str]) -> Any:
        path = self.path.format(**ids)
        query = {name: fields[name] for name in self.parameters if name in fields and name not in ids}
        if query:
            path += "?" + "&".join(f"{name}={value}" for name, value in query.items())
        body = self.body
        if isinstance(body, dict):
            body = {
                name: str(ids.get(f"{name}_id", value)) if f"{name}_id" in ids else value
                for name, value in body.items()
            }
        text = "{}" if body is None else json.dumps(body)
        return client.generic(self.method, path, data=text, content_type="application/json")


def operations() -> Iterator[Operation]:
    description = SchemaGenerator().get_schema(request=None, public=True)
    for path, methods in description["paths"].items():
        for method, described in methods.items():
            yield Operation(method.upper(), path, described)


OPERATIONS = list(operations())
NAMING = [operation for operation in OPERATIONS if operation.names_something]
READING = [operation for operation in OPERATIONS if operation.method == "GET"]


@pytest.fixture
def estate(stranger: User, media: str) -> Estate:
    return Estate(stranger)


@pytest.fixture
def signed_in(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture(params=["key", "session"])
def client(request: pytest.FixtureRequest, owner: User, api: APIClient, signed_in: Client) -> Client:
    return {"key": api, "session": signed_in}[request.param]


def missing(estate: Estate) -> dict[str, Any]:
    """Ids of the same kinds, of nothing."""
    return {
        name: 10**12 if isinstance(value, int) else value if isinstance(value, str) else uuid4()
        for name, value in estate.ids.items()
    }


def rows_of(user: User) -> dict[str, list[str]]:
    """All rows of all our tables but those of the one who asks, so that any change shows."""
    found = {}
    for model in apps.get_models():
        table = model._meta.db_table
        if not model.__module__.startswith("backend.") or table in NOT_AN_ESTATE:
            continue
        owned = next((name for name in ("owner", "user") if name in {f.name for f in model._meta.fields}), None)
        rows = model._base_manager.exclude(**{owned: user}) if owned else model._base_manager.all()
        rows = rows.exclude(pk=user.pk) if model is User else rows
        found[table] = sorted(str(sorted(row.items())) for row in rows.values())
    return found


def test_every_parameter_of_a_path_is_part_of_an_estate(estate: Estate):
    lacking = {
        name: str(operation)
        for operation in OPERATIONS
        for name, part in operation.parameters.items()
        if part["in"] == "path" and name not in estate.ids
    }
    assert not lacking, f"Estate in tests/backend/estates.py does not know {lacking}"


def test_every_url_is_of_the_api_or_of_a_page_or_shows_nothing_of_anybody():
    """What stands beside the two lists would be in no matrix; the admin is for staff alone."""
    beside = {str(route.pattern) for route in get_resolver().url_patterns} - {
        str(route.pattern) for route in (*API, *PAGES)
    }
    assert beside == {"api/schema", "api/docs", "admin/"}


def test_every_operation_of_every_view_is_in_the_matrix():
    views = {(method.upper(), path_of(route)) for route in API for method in methods_of(route)}
    assert {(operation.method, operation.path) for operation in OPERATIONS} == views


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_nothing_foreign_is_seen_or_changed(operation: Operation, owner: User, client: Client, estate: Estate):
    before = rows_of(owner)
    answer = operation.ask(client, estate.ids, estate.fields)
    content = b"".join(answer.streaming_content) if answer.streaming else answer.content
    assert rows_of(owner) == before
    if operation.names_something:
        assert answer.status_code in (403, 404)
    else:
        shown = content.decode()
        assert not [name for name, value in estate.ids.items() if len(str(value)) > 8 and str(value) in shown]


@pytest.mark.parametrize("operation", NAMING, ids=str)
def test_foreign_objects_look_like_missing_ones(operation: Operation, client: Client, estate: Estate):
    foreign = operation.ask(client, estate.ids, estate.fields)
    nothing = operation.ask(client, missing(estate), estate.fields)
    assert foreign.status_code == nothing.status_code
    assert foreign.content == nothing.content


@pytest.mark.parametrize(
    ("operation", "named"),
    [(one, named) for named in DELETED for one in NAMING if f"{{{named}}}" in one.path],
    ids=str,
)
def test_what_was_deleted_looks_like_what_is_missing(
    operation: Operation, named: str, stranger: User, estate: Estate
):
    """Its rows are still there for some minutes; its owner has no way to them."""
    client = Client()
    client.force_login(stranger)
    assert client.delete(f"/api/{DELETED[named]}/{estate.ids[named]}").status_code == 204
    deleted = operation.ask(client, estate.ids, estate.fields)
    nothing = operation.ask(client, missing(estate), estate.fields)
    assert deleted.status_code == nothing.status_code == 404
    assert deleted.content == nothing.content


@pytest.mark.parametrize(
    "operation", [operation for operation in OPERATIONS if operation.method == "GET"], ids=str
)
def test_owner_gets_there(operation: Operation, stranger: User, estate: Estate):
    """Without this, a matrix of 404s would prove nothing."""
    client = Client()
    client.force_login(stranger)
    answer = operation.ask(client, estate.ids, estate.fields)
    assert answer.status_code in (200, 409)  # it is there, if perhaps not in the right state
    if answer.status_code == 200 and "results" in (
        answer.json() if answer["Content-Type"] == "application/json" else {}
    ):
        assert answer.json()["results"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_api_refuses_the_nameless(operation: Operation, anonymous: APIClient, estate: Estate):
    answer = operation.ask(anonymous, estate.ids, estate.fields)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Api-Key"
    assert answer.json()["code"] == "not_authenticated"


def page(name: str) -> URLPattern:
    return next(route for route in PAGES if route.name == name)


def page_path(name: str, ids: dict[str, Any]) -> str:
    return "/" + get_resolver().reverse(name, **{key: ids[key] for key in page(name).pattern.converters})


def test_every_page_with_an_id_is_in_the_matrix():
    with_id = {route.name for route in PAGES if route.pattern.converters}
    assert with_id - OPEN_TO_ALL == set(FOREIGN_PAGES)


@pytest.mark.parametrize(("name", "method"), FOREIGN_PAGES.items())
def test_foreign_pages_look_like_missing_ones(
    name: str, method: str, owner: User, signed_in: Client, estate: Estate
):
    before = rows_of(owner)
    foreign = signed_in.generic(method, page_path(name, estate.ids))
    nothing = signed_in.generic(method, page_path(name, missing(estate)))
    assert foreign.status_code == nothing.status_code == 404
    assert foreign.content == nothing.content
    assert rows_of(owner) == before


def test_pages_show_only_ones_own(signed_in: Client, estate: Estate):
    assert str(estate.video.pk) not in signed_in.get("/").content.decode()
    assert estate.key.prefix not in signed_in.get("/api-keys").content.decode()
    assert str(estate.webhook.pk) not in signed_in.get("/webhooks").content.decode()


@pytest.mark.parametrize("name", [route.name for route in PAGES if route.name not in OPEN_TO_ALL])
def test_pages_send_the_nameless_to_the_login(name: str, estate: Estate):
    answer = Client().generic(FOREIGN_PAGES.get(name, "GET"), page_path(name, estate.ids))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=")


def test_matrix_would_see_a_change(owner: User, estate: Estate):
    before = rows_of(owner)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE videos_track SET detections = detections + 1")
    assert rows_of(owner) != before
