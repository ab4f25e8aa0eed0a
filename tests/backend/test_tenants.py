"""Two tenants, every endpoint: nobody sees, changes or even recognises what belongs to the other."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver
from rest_framework.test import APIClient

from backend.accounts.models import ApiKey, User
from backend.accounts.services import create_api_key
from backend.config.urls import API, PAGES
from backend.videos.models import Analysis, Video
from tests.backend.making import make_finished, make_track, make_video

pytestmark = pytest.mark.django_db

# How each route with an id of somebody's object is asked. A new route without a line here fails the first test.
FOREIGN = {
    "api-video": "GET",
    "api-video-sign": "POST",
    "api-video-parts": "GET",
    "api-video-finish": "POST",
    "api-video-abort": "POST",
    "api-analysis": "GET",
    "api-analysis-cancel": "POST",
    "api-analysis-retry": "POST",
    "api-analysis-detections": "GET",
    "api-analysis-tracks": "GET",
    "api-analysis-events": "GET",
    "api-analysis-live": "GET",
    "api-analysis-thumbnails": "GET",
    "api-analysis-export": "GET",
    "api-analysis-seconds": "GET",
    "api-analysis-media": "GET",
    "api-api-key": "DELETE",
    "video": "GET",
    "analysis": "GET",
    "api-key-revoke": "POST",
}
LISTS = ("api-videos", "api-analyses", "api-api-keys")
OPEN_TO_ALL = {"sign-up", "login", "logout"}


class Estate:
    """One of everything that a user can own."""

    def __init__(self, user: User) -> None:
        self.video = make_video(user)
        self.analysis = make_finished(user, [1], video=self.video)
        make_track(self.analysis, 1)
        self.key = create_api_key(user=user, name="nightly").row

    def path(self, name: str, *, missing: bool = False) -> str:
        values = {
            "export_format": "csv",
            "video_id": uuid4() if missing else self.video.pk,
            "analysis_id": uuid4() if missing else self.analysis.pk,
            "api_key_id": 10**12 if missing else self.key.pk,
        }
        wanted = pattern(name).pattern.converters
        return "/" + get_resolver().reverse(name, **{key: values[key] for key in wanted})


def pattern(name: str) -> URLPattern:
    return next(route for route in (*API, *PAGES) if route.name == name)


def asked(client: Client, name: str, path: str) -> Any:
    return client.generic(FOREIGN[name], path, data="{}", content_type="application/json")


@pytest.fixture
def estate(stranger: User) -> Estate:
    return Estate(stranger)


@pytest.fixture
def signed_in(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


def test_every_route_with_an_id_is_in_the_matrix():
    with_id = {route.name for route in (*API, *PAGES) if route.pattern.converters}
    assert with_id == set(FOREIGN)


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_objects_look_like_missing_ones(name: str, signed_in: Client, estate: Estate):
    foreign = asked(signed_in, name, estate.path(name))
    missing = asked(signed_in, name, estate.path(name, missing=True))
    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content


@pytest.mark.parametrize("name", [name for name in FOREIGN if name.startswith("api-") and "key" not in name])
def test_api_key_opens_nothing_foreign_either(name: str, api: APIClient, estate: Estate):
    assert asked(api, name, estate.path(name)).status_code == 404


def test_foreign_analysis_cannot_be_deleted(api: APIClient, estate: Estate):
    answers = [api.delete(estate.path("api-analysis", missing=missing)) for missing in (False, True)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert Analysis.objects.get().deleted_at is None


@pytest.mark.parametrize("name", [name for name in FOREIGN if "analysis_id" in pattern(name).pattern.converters])
def test_deleted_analysis_looks_like_a_missing_one(name: str, stranger: User, estate: Estate):
    """Its rows are still there for some minutes; its owner has no way to them."""
    client = Client()
    client.force_login(stranger)
    assert client.delete(estate.path("api-analysis")).status_code == 204
    deleted = asked(client, name, estate.path(name))
    missing = asked(client, name, estate.path(name, missing=True))
    assert deleted.status_code == missing.status_code == 404
    assert deleted.content == missing.content


@pytest.mark.parametrize(
    # Parts are asked of an upload under way.
    "name",
    [name for name in FOREIGN if FOREIGN[name] == "GET" and name != "api-video-parts"],
)
def test_owner_gets_there(name: str, stranger: User, estate: Estate):
    """Without this, a matrix of 404s would prove nothing."""
    client = Client()
    client.force_login(stranger)
    assert asked(client, name, estate.path(name)).status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_lists_hold_only_ones_own(name: str, signed_in: Client, estate: Estate):
    assert signed_in.get(estate.path(name)).json()["results"] == []


def test_filter_by_a_foreign_video_finds_nothing(signed_in: Client, estate: Estate):
    assert signed_in.get(f"/api/analyses?video={estate.video.pk}").json()["results"] == []


def test_pages_show_only_ones_own(signed_in: Client, estate: Estate):
    assert str(estate.video.pk) not in signed_in.get("/").content.decode()
    assert estate.key.prefix not in signed_in.get("/api-keys").content.decode()


def test_nothing_foreign_was_changed(signed_in: Client, estate: Estate):
    for name in FOREIGN:
        asked(signed_in, name, estate.path(name))
    signed_in.post("/api/analyses", {"video": str(estate.video.pk)}, content_type="application/json")
    assert Video.objects.get().status == "ready"
    assert Analysis.objects.count() == 1
    assert ApiKey.objects.get().revoked_at is None


@pytest.mark.parametrize("name", [route.name for route in API])
def test_api_refuses_the_nameless(name: str, anonymous: APIClient, estate: Estate):
    answer = anonymous.get(estate.path(name))
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == "Api-Key"
    assert answer.json()["code"] == "not_authenticated"


@pytest.mark.parametrize("name", [route.name for route in PAGES if route.name not in OPEN_TO_ALL])
def test_pages_send_the_nameless_to_the_login(name: str, estate: Estate):
    answer = Client().generic(FOREIGN.get(name, "GET"), estate.path(name))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/login?next=")
