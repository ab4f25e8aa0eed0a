"""The description of the API is whole, is committed, and is true of what its examples show."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, path
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator, FormatChecker
from rest_framework.views import APIView

from backend.config.openapi import NotDocumented
from backend.config.urls import API

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.yaml"
PROBLEM = "application/problem+json"
HOW = "the top of backend/config/openapi.py says how"


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    # As JSON, and so as any other program reads it.
    return json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True)))


def operations(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, methods in description["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {where}", operation


def answers(description: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, operation in operations(description):
        for status, answer in operation["responses"].items():
            yield name, status, resolved(description, answer)


def resolved(description: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    for part in node["$ref"].removeprefix("#/").split("/"):
        description = description[part]
    return description


def strict(node: Any) -> Any:
    """The same schema, but what it does not name is forbidden: so nothing is shown that is not described."""
    if isinstance(node, list):
        return [strict(part) for part in node]
    if not isinstance(node, dict):
        return node
    closed = {name: strict(part) for name, part in node.items()}
    if closed.get("type") == "object" and "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def test_committed_description_is_what_the_code_says(tmp_path: Path):
    """And it is made without a warning, and is valid OpenAPI 3.1."""
    generated = tmp_path / "openapi.yaml"
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(generated))
    assert COMMITTED.read_text() == generated.read_text(), "run `make openapi` and commit docs/openapi.yaml"


def test_every_route_of_the_api_is_described(description: dict[str, Any]):
    described = {name.lower() for name, _ in operations(description)}
    lacking = [
        f"{method.upper()} /{route.pattern}"
        for route in API
        for method in methods_of(route)
        if f"{method} {path_of(route)}" not in described
    ]
    assert not lacking, f"{', '.join(lacking)}: not described; {HOW}"


def test_every_operation_says_what_it_does(description: dict[str, Any]):
    faults = []
    for name, operation in operations(description):
        for part, least in (("operationId", 4), ("summary", 8), ("description", 20), ("tags", 1)):
            if len(operation.get(part) or "") < least:
                faults.append(f"{name} has no {part} that says something")
    assert not faults, f"{'; '.join(faults)}: {HOW}"


def test_every_operation_says_how_it_refuses(description: dict[str, Any]):
    faults = []
    for name, operation in operations(description):
        wanted = {"401", "403", "500", "503"} | ({"404"} if "{" in name else set())
        if lacking := wanted - set(operation["responses"]):
            faults.append(f"{name} has no answer {', '.join(sorted(lacking))}")
    for name, status, answer in answers(description):
        if status >= "400" and not answer["content"][PROBLEM]["examples"]:
            faults.append(f"{name} names no code for {status}")
    assert not faults, f"{'; '.join(faults)}: {HOW}"


def test_bodies_and_answers_have_examples(description: dict[str, Any]):
    faults = [
        f"the answer {status} of {name} has no example"
        for name, status, answer in answers(description)
        if "application/json" in answer.get("content", {})
        and answer["content"]["application/json"]["schema"].get("format") != "binary"
        and not answer["content"]["application/json"].get("examples")
    ]
    faults += [
        f"the body of {name} has no example"
        for name, operation in operations(description)
        if "requestBody" in operation
        and not operation["requestBody"]["content"]["application/json"].get("examples")
    ]
    assert not faults, f"{'; '.join(faults)}: {HOW}"


def test_examples_are_what_the_schemas_say(description: dict[str, Any]):
    closed = strict(description)
    shown = [
        (name, status, content)
        for name, status, answer in answers(closed)
        for content in answer.get("content", {}).values()
    ]
    shown += [
        (name, "body", operation["requestBody"]["content"]["application/json"])
        for name, operation in operations(closed)
        if "requestBody" in operation
    ]
    faults = []
    for name, status, content in shown:
        schema = {"components": closed["components"], "allOf": [content["schema"]]}
        validator = Draft202012Validator(schema, format_checker=FormatChecker())
        for example in content.get("examples", {}).values():
            faults += [f"{name} {status}: {fault.message}" for fault in validator.iter_errors(example["value"])]
    assert not faults


def test_codes_of_problems_are_listed(description: dict[str, Any]):
    """A program that switches on the code finds every one of them in the shape of problems."""
    listed = set(description["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    used = {
        code
        for _, status, answer in answers(description)
        if status >= "400"
        for code in answer["content"][PROBLEM]["examples"]
    }
    assert used == listed
    assert {"invalid", "not_authenticated", "video_not_found", "idempotency_key_reused"} <= listed


def test_endpoint_without_a_description_is_named():
    class Forgotten(APIView):
        def get(self, request: Any) -> None: ...

    generator = SchemaGenerator(patterns=[path("api/forgotten", Forgotten.as_view())])
    with pytest.raises(NotDocumented, match=r"GET /api/forgotten .* decorate .*Forgotten.get with `documented`"):
        generator.get_schema(request=None, public=True)


def test_operation_ids_are_unique(description: dict[str, Any]):
    """Programs are generated from them."""
    ids = [operation["operationId"] for _, operation in operations(description)]
    assert len(set(ids)) == len(ids)


def test_description_is_served_to_anybody(description: dict[str, Any]):
    answer = Client().get("/api/schema")
    assert answer["Content-Type"] == "application/vnd.oai.openapi+json"
    assert answer.json() == description
    assert description["openapi"].startswith("3.1")


def test_swagger_ui_comes_from_our_own_files():
    page = Client().get("/api/docs").content.decode()
    assert 'data-schema="/api/schema"' in page
    sources = [part.split('"')[0] for part in page.split('src="')[1:] + page.split('href="')[1:]]
    assert len([source for source in sources if "swagger-ui" in source]) == 2
    for source in sources:
        assert source.startswith(("/", "#"))
        if source.startswith("/static/"):
            assert Client().get(source).status_code == 200


def methods_of(route: URLPattern) -> list[str]:
    return [name for name in ("get", "post", "put", "patch", "delete") if hasattr(route.callback.view_class, name)]


def path_of(route: URLPattern) -> str:
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", str(route.pattern))
