"""The running server answers whatever is sent to it, and nothing but what its description says.

A deeper run, of minutes: `pytest tests/backend/test_schemathesis.py --hypothesis-profile thorough -o timeout=0`.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import settings
from schemathesis.specs.openapi.checks import response_schema_conformance

from backend.accounts.models import ApiKey, User
from backend.accounts.services import create_api_key
from backend.config.openapi_problems import operations
from backend.gateways.s3 import MediaBucket
from backend.videos.models import Video
from contract.statuses import TERMINAL, AnalysisStatus
from contract.uploads import PART_BYTES_AT_LEAST
from tests.backend.estates import Estate
from tests.backend.making import make_video
from tests.backend.serving import serving
from tests.backend.test_openapi import strict
from tests.fix_postgres import django_connected_to

PROBLEM = "application/problem+json"
OF_EACH_STATUS = 6
CSRF_TOKEN = "c" * 32
# Each with files of its own, which are still uploading.
OF_UPLOADS = {
    (method, f"/api/videos/{{video_id}}/{step}"): number
    for number, (method, step) in enumerate([("POST", "abort"), ("POST", "sign"), ("GET", "parts")])
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    url: str
    key: str
    session: str
    newcomer_key: str
    estates: list[Estate]
    doomed: list[Estate]
    uploads: list[Video]

    def headers_for(self, case: Any) -> dict[str, str]:
        """Those of a program, or of a browser where an endpoint is for browsers only."""
        if (case.method, case.path) == ("POST", "/api/webhooks"):  # a user may have a few, which the estates have
            return {"Authorization": f"Api-Key {self.newcomer_key}"}
        if case.operation.definition.raw["x-browser-only"]:
            return {"Cookie": f"sessionid={self.session}; csrftoken={CSRF_TOKEN}", "X-CSRFToken": CSRF_TOKEN}
        return {"Authorization": f"Api-Key {self.key}"}

    def name_what_is_there(self, case: Any) -> None:
        """Most of the time; otherwise nearly all answers would be 404."""
        if case.meta.generation.mode != schemathesis.GenerationMode.POSITIVE:
            return
        choice = zlib.crc32(repr((case.path_parameters, case.body)).encode())
        estates = self._estates_for(case)
        there = estates[choice % len(estates)]
        if choice // 1000 % 3 == 0:
            return
        case.path_parameters = {name: str(there.ids[name]) for name in case.path_parameters or ()}
        if (step := OF_UPLOADS.get((case.method, case.path))) is not None:
            upload = self.uploads[step * OF_EACH_STATUS + choice % OF_EACH_STATUS]
            case.path_parameters["video_id"] = str(upload.pk)
            if isinstance(case.body, dict) and "parts" in case.body:
                case.body["parts"] = [{"number": 1}]  # a small file has no other
        if isinstance(case.body, dict):
            case.body = {name: there.fields.get(name, value) for name, value in case.body.items()}

    def _estates_for(self, case: Any) -> list[Estate]:
        """What is deleted is not there for any other operation."""
        if case.method == "DELETE":
            return self.doomed
        if case.path.endswith("/live"):  # a stream of one that is not over would not end
            return [estate for estate in self.estates if estate.analysis.status in TERMINAL]
        if "/exports/" in case.path:
            return [one for one in self.estates if one.analysis.status == AnalysisStatus.SUCCEEDED]
        return self.estates


@pytest.fixture(scope="module")
def server(
    module_database_url: str,
    s3_client: Any,
    django_db_blocker: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """uvicorn and PostgreSQL, with analyses of every status and everything else that a user can have."""
    bucket = f"media-{uuid4().hex}"
    region = s3_client.meta.region_name
    s3_client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    with django_db_blocker.unblock(), django_connected_to(module_database_url):
        user = User.objects.create(username="owner", plan="enterprise")
        key = create_api_key(user=user, name="test").key
        ApiKey.objects.update(id=10**15)  # or it would be revoked, as number 1
        browser = Client()
        browser.force_login(user)
        session = browser.cookies["sessionid"].value
        newcomer = User.objects.create(username="newcomer", plan="enterprise")
        newcomer_key = create_api_key(user=newcomer, name="test").key
        estates, doomed = (
            [Estate(user, status=status) for status in AnalysisStatus for _ in range(OF_EACH_STATUS)]
            for _ in range(2)
        )
        uploads = [make_upload(user, bucket) for _ in range(len(OF_UPLOADS) * OF_EACH_STATUS)]
    log = tmp_path_factory.mktemp("server") / "log"
    with serving(log, DATABASE_URL=module_database_url, MEDIA_BUCKET=bucket) as client:
        yield Server(
            url=str(client.base_url),
            key=key,
            session=session,
            newcomer_key=newcomer_key,
            estates=estates,
            doomed=doomed,
            uploads=uploads,
        )


def make_upload(user: User, bucket: str) -> Video:
    video = make_video(user, status="uploading", part_bytes=PART_BYTES_AT_LEAST)
    video.upload_id = MediaBucket(bucket).begin_parts(key=video.key, content_type=video.content_type)
    video.save()
    return video


@pytest.fixture(scope="module")
def api_schema(server: Server) -> Any:
    # Closed, so that an answer with a field that is not described is found as well.
    description = strict(json.loads(json.dumps(SchemaGenerator().get_schema(request=None, public=True))))
    for operation in operations(description):
        # Who may ask is tested elsewhere; here every request carries a test's own key or session.
        operation["x-browser-only"] = not any("ApiKey" in way for way in operation.pop("security"))
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=server.url)
    return schema


# The stream of all analyses does not end; tests/backend/test_live.py listens to it.
schema = schemathesis.pytest.from_fixture("api_schema").exclude(path="/api/analyses/live")


@schemathesis.check
def code_is_described(ctx: Any, response: Any, case: Any) -> None:
    """Not only the status: the code of a problem is one that the description lists there."""
    if response.headers.get("content-type", [""])[0] != PROBLEM or response.status_code == 405:
        return
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    if "$ref" in described:
        shared = case.operation.schema.raw_schema["components"]["responses"]
        described = shared[described["$ref"].rpartition("/")[2]]
    codes = described.get("content", {}).get(PROBLEM, {}).get("examples", {})
    code = response.json()["code"]
    assert code in codes, f"the code {code} is not described for {response.status_code}"


@schema.parametrize()
@settings(max_examples=settings.default.max_examples // 5)
def test_api(case: Any, server: Server) -> None:
    server.name_what_is_there(case)
    # A schema cannot say which cursors, file names or classes there are: what it allows may still be refused.
    excluded = [schemathesis.checks.positive_data_acceptance]
    if case.path.endswith("/live"):  # OpenAPI 3.1 cannot say what events look like
        excluded.append(response_schema_conformance)
    case.call_and_validate(headers=server.headers_for(case), excluded_checks=excluded)
