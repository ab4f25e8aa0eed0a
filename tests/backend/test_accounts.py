"""Who may come in: people with a password, programs with a key."""

from datetime import timedelta
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts.errors import MOST_API_KEYS
from backend.accounts.forms import SignUpForm
from backend.accounts.models import ApiKey, User
from backend.accounts.services import create_api_key, revoke_api_key, use_api_key

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    """Django's own hasher takes as long as several tests."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def browser(owner: User) -> Client:
    client = Client()
    client.force_login(owner)
    return client


@pytest.mark.parametrize("keyword", ["Api-Key", "api-key", "Bearer"])
def test_key_opens_the_api(anonymous: APIClient, owner: User, keyword: str):
    key = create_api_key(user=owner, name="test").key
    assert anonymous.get("/api/videos", HTTP_AUTHORIZATION=f"{keyword} {key}").status_code == 200


def test_key_is_not_kept(owner: User):
    """Whoever reads a backup of the table must not be able to use it."""
    made = create_api_key(user=owner, name="test")
    stored = " ".join(str(value) for value in ApiKey.objects.values_list().get())
    assert made.key not in stored
    assert made.key.rsplit("_", 1)[1] not in stored


@pytest.mark.parametrize(
    "mistake",
    [
        pytest.param(lambda key: key[:-1], id="too short"),
        pytest.param(lambda key: key + "A", id="too long"),
        pytest.param(lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"), id="one letter wrong"),
        pytest.param(lambda key: key.replace("fb_", "xx_"), id="wrong start"),
        pytest.param(lambda key: f"{key} {key}", id="two keys"),
        pytest.param(lambda key: "", id="no key"),
        pytest.param(lambda key: "ü", id="not even ASCII"),
    ],
)
def test_key_with_a_mistake_opens_nothing(anonymous: APIClient, owner: User, mistake: Any):
    key = mistake(create_api_key(user=owner, name="test").key)
    answer = anonymous.get("/api/videos", HTTP_AUTHORIZATION=f"Api-Key {key}".encode().decode("latin-1"))
    assert answer.status_code == 401


def test_revoked_key_opens_nothing(api: APIClient, owner: User):
    assert api.get("/api/videos").status_code == 200
    assert revoke_api_key(user=owner, api_key_id=ApiKey.objects.get().pk)
    assert api.get("/api/videos").status_code == 401


def test_key_of_an_inactive_user_opens_nothing(api: APIClient, owner: User):
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert api.get("/api/videos").status_code == 401


def test_expired_key_opens_nothing(anonymous: APIClient, owner: User):
    key = create_api_key(user=owner, name="test", expires_at=timezone.now() + timedelta(hours=1)).key
    assert anonymous.get("/api/videos", HTTP_AUTHORIZATION=f"Api-Key {key}").status_code == 200
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert anonymous.get("/api/videos", HTTP_AUTHORIZATION=f"Api-Key {key}").status_code == 401


def test_last_use_is_noted_at_most_once_a_minute(owner: User):
    """A write per request would be the most expensive part of polling."""
    key = create_api_key(user=owner, name="test").key
    use_api_key(key)
    first = ApiKey.objects.get().last_used_at
    use_api_key(key)
    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    use_api_key(key)
    assert ApiKey.objects.get().last_used_at >= first


def test_keys_are_made_listed_and_revoked_in_a_session(browser: Client):
    given = {"name": "nightly", "scopes": ["videos:write"], "expires_at": "2999-01-01T00:00:00Z"}
    made = browser.post("/api/api-keys", given, content_type="application/json")
    assert made.status_code == 201
    assert use_api_key(made.json()["key"]) is not None

    (listed,) = browser.get("/api/api-keys").json()["results"]
    assert "key" not in listed
    assert listed["prefix"] == made.json()["key"][: len(listed["prefix"])]
    assert listed["revoked_at"] is None
    assert listed["scopes"] == ["videos:write"]
    assert listed["expires_at"] == "2999-01-01T00:00:00Z"

    assert browser.delete(f"/api/api-keys/{listed['id']}").status_code == 204
    assert browser.delete(f"/api/api-keys/{listed['id']}").status_code == 204
    assert use_api_key(made.json()["key"]) is None
    assert browser.get("/api/api-keys").json()["results"][0]["revoked_at"] is not None


def test_a_hundred_keys_are_good_at_a_time_and_all_of_them_are_listed(browser: Client, owner: User):
    """Neither list grows without end: neither of keys that are good, nor of those that were."""
    keys = [create_api_key(user=owner, name=f"{number}").row for number in range(MOST_API_KEYS)]
    asked = {"name": "one more", "scopes": ["videos:read"]}
    refused = browser.post("/api/api-keys", asked, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_api_keys")
    assert "as many API keys as you may" in browser.post("/api-keys", {**asked, "days": "30"}).content.decode()
    with pytest.raises(CommandError, match="as many API keys as you may"):
        command("--user", owner.username)

    ApiKey.objects.filter(pk=keys[0].pk).update(expires_at=timezone.now())
    ApiKey.objects.filter(pk=keys[2].pk).update(revoked_at=timezone.now())
    ended = [
        ApiKey(user=owner, name="old", prefix=f"{number}", digest="", scopes=[], revoked_at=timezone.now())
        for number in range(150)
    ]
    ApiKey.objects.bulk_create(ended)
    assert browser.post("/api/api-keys", asked, content_type="application/json").status_code == 201

    listed = browser.get("/api/api-keys").json()["results"]
    assert listed[0]["name"] == "one more"
    assert {keys[1].pk, *(key.pk for key in keys[3:])} < {key["id"] for key in listed}
    assert [key["name"] for key in listed].count("old") == 101  # and 99 that are good


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"name": "", "scopes": ["videos:read"]}, id="no name"),
        pytest.param({"name": "a" * 101, "scopes": ["videos:read"]}, id="long name"),
        pytest.param({"name": "a"}, id="no scopes"),
        pytest.param({"name": "a", "scopes": []}, id="empty scopes"),
        pytest.param({"name": "a", "scopes": ["all"]}, id="unknown scope"),
        pytest.param({"name": "a", "scopes": ["videos:read"], "scope": "all"}, id="unknown field"),
        pytest.param({"name": "a", "scopes": ["videos:read"], "expires_at": "2020-01-01T00:00:00Z"}, id="expired"),
    ],
)
def test_faulty_key_request_makes_none(browser: Client, body: Any):
    answer = browser.post("/api/api-keys", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["errors"]
    assert not ApiKey.objects.exists()


def test_key_makes_no_keys(api: APIClient):
    """A leaked key could otherwise outlive its revocation."""
    answer = api.post("/api/api-keys", {"name": "sneaky", "scopes": ["videos:read"]}, format="json")
    assert answer.status_code == 403
    assert answer.json()["code"] == "browser_only"
    assert "browser" in answer.json()["detail"]
    assert ApiKey.objects.count() == 1


def test_people_sign_up_in_and_out(db: None):
    client = Client()
    fields = {"username": "ada", "password1": "correct horse battery", "password2": "correct horse battery"}
    assert client.post("/sign-up", fields)["Location"] == "/"
    assert client.get("/").status_code == 200
    assert client.post("/logout").status_code == 302
    assert client.get("/").status_code == 302
    login = client.post("/login", {"username": "ada", "password": "correct horse battery", "next": "/api-keys"})
    assert login["Location"] == "/api-keys"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"password1": "12345", "password2": "12345"}, "too short", id="weak password"),
        pytest.param({"password2": "something else"}, "match", id="two passwords"),
        pytest.param({"username": "owner"}, "already exists", id="name is taken"),
    ],
)
def test_sign_up_says_what_is_wrong(owner: User, fields: Any, words: str):
    given = {"username": "ada", "password1": "correct horse battery", "password2": "correct horse battery"}
    answer = Client().post("/sign-up", {**given, **fields})
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert User.objects.count() == 1


def test_name_that_somebody_else_takes_meanwhile_is_said_to_be_taken(db: None, monkeypatch: pytest.MonkeyPatch):
    fields = {"username": "ada", "password1": "correct horse 7", "password2": "correct horse 7"}
    valid = SignUpForm.is_valid

    def taken_since(form: SignUpForm) -> bool:
        fine = valid(form)
        User.objects.create_user("ada")
        return fine

    monkeypatch.setattr(SignUpForm, "is_valid", taken_since)
    answer = Client().post("/sign-up", fields)
    assert answer.status_code == 200
    assert "A user with that username already exists." in answer.content.decode()


def test_key_page_shows_a_new_key_once(browser: Client):
    page = browser.post("/api-keys", {"name": "nightly", "scopes": ["videos:read", "videos:write"], "days": "30"})
    assert page["Cache-Control"] == "no-store"
    made = ApiKey.objects.get()
    assert made.scopes == ["videos:read", "videos:write"]
    assert timedelta(days=29) < made.expires_at - timezone.now() < timedelta(days=31)
    prefix = f"fb_{made.prefix}_"
    assert prefix in page.content.decode()
    assert prefix not in browser.get("/api-keys").content.decode()
    browser.post(f"/api-keys/{ApiKey.objects.get().pk}/revoke")
    assert ApiKey.objects.get().revoked_at is not None


def test_whoever_has_to_sign_in_before_revoking_a_key_ends_up_at_the_keys(owner: User):
    """A session may have ended since the page was opened."""
    key = create_api_key(user=owner, name="test").row
    browser = Client()
    sent = browser.post(f"/api-keys/{key.pk}/revoke")
    browser.force_login(owner)
    after = browser.get(parse_qs(urlsplit(sent["Location"]).query)["next"][0])
    assert (after.status_code, after["Location"]) == (302, "/api-keys")
    key.refresh_from_db()
    assert key.revoked_at is None


def test_key_page_says_what_is_missing(browser: Client):
    assert "Tick what the key may be used for." in browser.post("/api-keys", {"name": "a"}).content.decode()
    assert not ApiKey.objects.exists()


def command(*args: str) -> str:
    out = StringIO()
    call_command("create_api_key", *args, stdout=out)
    return out.getvalue()


def test_command_prints_the_key_and_nothing_else(owner: User):
    """Scripts put the output into a variable."""
    key = command("--user", "owner").rstrip("\n")
    assert use_api_key(key).user == owner
    assert use_api_key(command("--user", "owner", "--scope", "results:read").strip()).scopes == ["results:read"]


def test_command_makes_the_user_with_a_password_from_the_environment(db: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DEMO_PASSWORD", "correct horse battery")
    key = command("--user", "demo", "--create-user", "--password-env", "DEMO_PASSWORD").strip()
    assert Client().login(username="demo", password="correct horse battery")
    assert use_api_key(key).user.username == "demo"


def test_command_without_a_password_makes_a_user_nobody_can_sign_in_as(db: None):
    command("--user", "robot", "--create-user")
    assert not User.objects.get().has_usable_password()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        pytest.param(["--user", "nobody"], "no user", id="unknown user"),
        pytest.param(["--user", "a b", "--create-user"], "valid username", id="faulty name"),
        pytest.param(["--user", "x", "--create-user", "--password-env", "UNSET"], "UNSET", id="password not set"),
        pytest.param(["--user", "x", "--create-user", "--password-env", "WEAK"], "too short", id="weak password"),
    ],
)
def test_command_refuses_with_a_sentence(db: None, monkeypatch: pytest.MonkeyPatch, args: list[str], words: str):
    monkeypatch.setenv("WEAK", "12345")
    with pytest.raises(CommandError, match=words):
        command(*args)
    assert not User.objects.exists()
    assert not ApiKey.objects.exists()
