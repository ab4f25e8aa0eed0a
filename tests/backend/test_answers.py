"""Every operation, the live streams among them: what it answers, granting and refusing, is what is described.

Schemathesis draws requests; here each operation is granted once and refused in each way that any of them can be.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from jsonschema import Draft202012Validator, FormatChecker
from rest_framework.test import APIClient

from backend.accounts import throttling
from backend.accounts.models import User
from backend.accounts.throttling import Rates
from backend.gateways.s3 import MediaBucket
from backend.videos.models import Video
from contract.plans import Plan
from contract.uploads import PART_BYTES_AT_LEAST
from tests.backend.estates import Estate
from tests.backend.making import make_video
from tests.backend.test_openapi import resolved, strict
from tests.backend.test_scopes import client_with
from tests.backend.test_tenants import OPERATIONS, Operation

pytestmark = pytest.mark.django_db

DESCRIPTION = strict(json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True))))
PROBLEM = "application/problem+json"
REFUSE_UNKNOWN = {
    "GET /api/account/ledger",
    "GET /api/analyses",
    "GET /api/analyses/live",
    "GET /api/analyses/{analysis_id}/detections",
    "GET /api/analyses/{analysis_id}/events",
    "GET /api/analyses/{analysis_id}/live",
    "GET /api/analyses/{analysis_id}/media",
    "GET /api/analyses/{analysis_id}/seconds",
    "GET /api/analyses/{analysis_id}/thumbnails",
    "GET /api/analyses/{analysis_id}/tracks",
    "GET /api/videos",
    "GET /api/videos/{video_id}/parts",
    "GET /api/webhooks/{webhook_id}/deliveries",
}
LIVE = [operation for operation in OPERATIONS if operation.path.endswith("/live")]


def faults(operation: Operation, answer: Any) -> Iterator[str]:
    """What the description of the operation does not say of this answer."""
    responses = DESCRIPTION["paths"][operation.path][operation.method.lower()]["responses"]
    if str(answer.status_code) not in responses:
        yield f"{answer.status_code} is not described"
        return
    described = resolved(DESCRIPTION, responses[str(answer.status_code)])
    contents, kind = described.get("content", {}), answer.get("Content-Type", "").partition(";")[0]
    if not contents:
        if answer.content:
            yield f"{answer.status_code} has a body"
        return
    if kind not in contents:
        yield f"{kind} is not described for {answer.status_code}, but {list(contents)}"
    elif kind in ("application/json", PROBLEM):
        schema = {"components": DESCRIPTION["components"], "allOf": [contents[kind]["schema"]]}
        validator = Draft202012Validator(schema, format_checker=FormatChecker())
        yield from (fault.message for fault in validator.iter_errors(answer.json()))
        if kind == PROBLEM and answer.json()["code"] not in contents[kind]["examples"]:
            yield f"the code {answer.json()['code']} is not described for {answer.status_code}"


def ask(operation: Operation, client: Client, estate: Estate, *, query: str = "", **headers: str) -> Any:
    body = operation.body
    if isinstance(body, dict):
        # The example's options are of another model.
        body = {name: estate.fields.get(name, value) for name, value in body.items() if name != "options"}
    return client.generic(
        operation.method,
        operation.path.format(**estate.ids) + query,
        data="" if body is None else json.dumps(body),
        content_type="application/json",
        headers=headers,
    )


def upload(owner: User, bucket: str) -> Video:
    video = make_video(owner, status="uploading", part_bytes=PART_BYTES_AT_LEAST, checksum_algorithm="SHA256")
    video.upload_id = MediaBucket(bucket).begin_parts(
        key=video.key, content_type=video.content_type, checksum_algorithm="SHA256"
    )
    video.save()
    return video


def fitting_estate(operation: Operation, owner: User, bucket: str) -> Estate:
    """Of which the operation can be granted."""
    step = operation.path.rpartition("/")[2]
    estate = Estate(owner, status={"cancel": "queued", "retry": "failed"}.get(step, "succeeded"))
    if step in ("sign", "parts", "abort", "finish"):
        video = upload(owner, bucket)
        if step == "finish":  # told once more
            Video.objects.filter(pk=video.pk).update(status="probing")
        estate.ids["video_id"] = video.pk
    return estate


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_what_is_granted_is_what_is_described(operation: Operation, owner: User, media: str):
    client = Client()
    client.force_login(owner)
    answer = ask(operation, client, fitting_estate(operation, owner, media))
    assert 200 <= answer.status_code < 300, answer.content
    assert not list(faults(operation, answer))


def throttled(owner: User, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setitem(throttling.RATES, Plan(owner.plan), Rates(reads=0, changes=0))
    client = Client()
    client.force_login(owner)
    return client


def signed_in(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def unknown_key(owner: User, monkeypatch: pytest.MonkeyPatch) -> Client:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key fb_{'a' * 12}_{'b' * 43}")
    return client


REFUSALS: dict[str, tuple[Callable[[User, pytest.MonkeyPatch], Client], dict[str, str], int]] = {
    "nameless": (lambda owner, patch: APIClient(), {}, 401),
    "unknown key": (unknown_key, {}, 401),
    "key without a scope": (lambda owner, patch: client_with(owner, "nothing"), {}, 403),
    "no known media type": (lambda owner, patch: signed_in(owner), {"Accept": "application/x-unknown"}, 406),
    "throttled": (throttled, {}, 429),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_every_operation_refuses_as_it_is_described(
    refusal: str, owner: User, media: str, monkeypatch: pytest.MonkeyPatch
):
    client_of, headers, status = REFUSALS[refusal]
    estate, client, found = Estate(owner), client_of(owner, monkeypatch), []
    for operation in OPERATIONS:
        answer = ask(operation, client, estate, **headers)
        found += [f"{operation}: {fault}" for fault in faults(operation, answer)]
        expected = 200 if status == 406 and "/exports/" in operation.path else status  # its URL says what comes
        if answer.status_code != expected:
            found.append(f"{operation}: {answer.status_code} instead of {expected}")
        if status == 429 and not (int(answer["Retry-After"]) >= 0 and answer["RateLimit"]):
            found.append(f"{operation}: it does not say when to come again")
    assert not found


def test_unknown_parameters_are_refused_as_it_is_described(owner: User, media: str):
    estate, client, found, refusing = Estate(owner), signed_in(owner), [], set()
    for operation in (one for one in OPERATIONS if one.method == "GET"):
        answer = ask(operation, client, estate, query="?unknown=1")
        found += [f"{operation}: {fault}" for fault in faults(operation, answer)]
        if answer.status_code == 400:
            refusing.add(str(operation))
    assert not found
    assert refusing == REFUSE_UNKNOWN


@pytest.mark.parametrize("operation", LIVE, ids=str)
@pytest.mark.parametrize(
    ("query", "last_event_id"),
    [("?unknown=1", ""), ("", "yesterday"), ("", "1"), ("", "-1-1"), ("", "9" * 19 + "-1")],
)
def test_stream_that_is_asked_for_in_a_wrong_way_is_refused(
    operation: Operation, owner: User, query: str, last_event_id: str
):
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    answer = ask(operation, signed_in(owner), Estate(owner), query=query, **headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert not list(faults(operation, answer))


def test_a_fault_would_be_seen(owner: User, media: str):
    (operation,) = (one for one in OPERATIONS if str(one) == "GET /api/models")
    answer = ask(operation, signed_in(owner), Estate(owner))
    answer.json = lambda: {"results": [], "next": None, "more": True}
    assert list(faults(operation, answer)) == ["Additional properties are not allowed ('more' was unexpected)"]
    answer.status_code = 418
    assert list(faults(operation, answer)) == ["418 is not described"]
