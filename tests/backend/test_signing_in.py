"""People with a password: trying out passwords is slow work, and a forgotten one is replaced by mail."""

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import Client

from backend.accounts import forms
from backend.accounts.forms import address_of
from backend.accounts.models import Count, User
from tests.backend.serving import wait_until

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
AGE = timedelta(days=10_000)  # a window that does not end while a test runs


@pytest.fixture(autouse=True)
def fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def person(db: None) -> User:
    return User.objects.create_user("ada", "ada@example.org", PASSWORD, is_staff=True)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "WINDOW", AGE)
    monkeypatch.setattr(forms, "MOST_BY_ADDRESS", 3)
    monkeypatch.setattr(forms, "MOST_BY_NAME", 5)


def sign_in(password: str, *, name: str = "ada", address: str = "192.0.2.1", path: str = "/login") -> Any:
    return Client(REMOTE_ADDR=address).post(path, {"username": name, "password": password})


def test_right_password_is_refused_after_too_many_wrong_ones(few: None, person: User):
    assert [sign_in("wrong").status_code for _ in range(3)] == [200] * 3
    answer = sign_in(PASSWORD)
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= AGE.total_seconds()
    assert "Too many attempts" in answer.content.decode()
    assert sign_in(PASSWORD, address="192.0.2.2").status_code == 302


def test_name_is_tried_from_many_addresses_in_vain(few: None, person: User):
    for number in range(5):
        sign_in("wrong", name="ADA" if number % 2 else "ada", address=f"192.0.2.{number}")
    assert sign_in(PASSWORD, address="192.0.2.200").status_code == 429
    assert sign_in(PASSWORD, name="grace", address="192.0.2.201").status_code == 200


def test_what_succeeds_does_not_count(few: None, person: User):
    """A whole office may come from one address."""
    assert [sign_in(PASSWORD).status_code for _ in range(8)] == [302] * 8


def test_admin_has_no_other_door(few: None, person: User):
    for _ in range(3):
        sign_in("wrong", path="/admin/login/")
    assert "Too many attempts" in sign_in(PASSWORD, path="/admin/login/").content.decode()


def test_names_that_were_tried_are_not_kept(person: User):
    """People type their passwords there."""
    sign_in("wrong", name="my secret")
    assert not any("secret" in count.subject for count in Count.objects.all())


@pytest.mark.parametrize(
    ("address", "counted"),
    [("192.0.2.7", "192.0.2.7"), ("2001:db8::7:8", "2001:db8::/64"), ("", "unknown")],
)
def test_machine_with_a_whole_network_counts_once(rf: Any, address: str, counted: str):
    assert address_of(rf.get("/", REMOTE_ADDR=address)) == counted


def test_sign_up_can_be_closed(settings: Any):
    settings.SIGN_UP = False
    assert Client().get("/sign-up").status_code == 404


def test_accounts_are_not_made_in_masses(few: None):
    answers = [
        Client().post("/sign-up", {"username": f"user{n}", "password1": PASSWORD, "password2": PASSWORD})
        for n in range(4)
    ]
    assert [answer.status_code for answer in answers] == [302, 302, 302, 429]
    assert User.objects.count() == 3


def sign_up(name: str, password: str = PASSWORD) -> Any:
    return Client().post("/sign-up", {"username": name, "password1": password, "password2": password})


def test_names_cannot_be_tried_out_by_signing_up(few: None, person: User):
    """Attempts that fail count as well, and what is refused says nothing of the name."""
    for name, password in (("ada", PASSWORD), ("ADA", "short"), ("grace", "short")):
        assert ("already exists" in sign_up(name, password).content.decode()) == (name != "grace")
    taken, free = sign_up("ada"), sign_up("hopper")
    for answer in (taken, free):
        assert answer.status_code == 429
        assert 0 < int(answer["Retry-After"]) <= AGE.total_seconds()
        assert "Too many attempts" in answer.content.decode()
        assert "already exists" not in answer.content.decode()
    assert not User.objects.filter(username="hopper").exists()


def test_signing_in_does_not_tell_which_names_there_are(person: User):
    User.objects.create_user("idle", password=PASSWORD, is_active=False)
    said = {str(sign_in("wrong", name=name).context["form"].errors) for name in ("ada", "idle", "nobody")}
    assert len(said) == 1


def test_password_is_changed(person: User):
    browser = Client()
    browser.force_login(person)
    new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    assert "entered incorrectly" in browser.post("/password", {"old_password": "wrong", **new}).content.decode()
    assert browser.post("/password", {"old_password": PASSWORD, **new}).status_code == 302
    assert browser.get("/").status_code == 200  # still signed in here
    assert sign_in("another horse battery").status_code == 302


def test_forgotten_password_is_replaced_by_mail(person: User, settings: Any):
    settings.MAIL = True
    browser = Client()
    known = browser.post("/password/forgotten", {"email": "ada@example.org"}, follow=True)
    unknown = browser.post("/password/forgotten", {"email": "nobody@example.org"}, follow=True)
    assert known.redirect_chain == unknown.redirect_chain
    wait_until(lambda: bool(mail.outbox))
    (message,) = mail.outbox
    link = re.search(r"http://testserver(/password/new/\S+)", message.body)
    page = browser.get(link[1], follow=True)
    new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    assert browser.post(page.request["PATH_INFO"], new).status_code == 302
    assert sign_in("another horse battery").status_code == 302
    assert "was used before" in browser.get(link[1], follow=True).content.decode()


def test_forgotten_password_is_answered_before_the_mail_is_sent(person: User, settings: Any):
    """By how long the mail server takes, anybody could learn which addresses have an account."""
    settings.MAIL = True
    settings.EMAIL_BACKEND = f"{__name__}.SlowMail"
    assert Client().post("/password/forgotten", {"email": "ada@example.org"}).status_code == 302
    assert not SlowMail.sent.is_set()
    SlowMail.takes.set()
    assert SlowMail.sent.wait(10)


class SlowMail(BaseEmailBackend):
    takes, sent = threading.Event(), threading.Event()

    def send_messages(self, messages: Any) -> int:
        assert self.takes.wait(10)
        self.sent.set()
        return len(messages)


def test_without_mail_nobody_is_promised_one():
    assert Client().get("/password/forgotten").status_code == 404
    assert "Forgot" not in Client().get("/login").content.decode()
