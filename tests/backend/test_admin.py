"""Staff act through the services that owners use; no status is written by hand."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.db.models import Model
from django.db.models.functions import Now
from django.test import Client

from backend.accounts.models import User
from backend.plans.credits import adjust
from backend.videos.models import Analysis, DeadRequest, OutboxMessage, OwedCall
from tests.backend.estates import Estate
from tests.backend.making import make_analysis

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create(username="staff", is_staff=True, is_superuser=True)


@pytest.fixture
def browser(staff: User) -> Client:
    client = Client()
    client.force_login(staff)
    return client


def act(client: Client, path: str, action: str, *rows: Any) -> str:
    answer = client.post(
        f"/admin/{path}/", {"action": action, "_selected_action": [row.pk for row in rows]}, follow=True
    )
    assert answer.status_code == 200
    return answer.content.decode()


def test_staff_cancel_what_is_not_over(browser: Client, owner: User):
    running, done = make_analysis(owner, status="running"), make_analysis(owner, status="succeeded")
    page = act(browser, "videos/analysis", "cancel", running, done)
    assert "1 cancelled." in page
    assert "An analysis that is over cannot be cancelled. It is succeeded." in page
    running.refresh_from_db()
    assert running.status == "cancelled"
    assert running.events.get().status == "cancelled"  # as if the owner had asked


def test_staff_try_again_for_the_owner(browser: Client, owner: User):
    failed = make_analysis(owner, status="failed")
    assert "1 asked for again." in act(browser, "videos/analysis", "retry", failed)
    made = Analysis.objects.get(retry_of=failed)
    assert (made.owner, made.status) == (owner, "queued")


def test_staff_redrive_a_dead_letter_once(browser: Client, owner: User):
    failed = make_analysis(owner, status="failed", error_code="submission_failed")
    letter = DeadRequest.objects.create(message_id="m-1", analysis=failed, body="{}")
    assert "1 redriven." in act(browser, "videos/deadrequest", "redrive", letter)
    assert "nothing to ask anew for" in act(browser, "videos/deadrequest", "redrive", letter)
    assert Analysis.objects.filter(retry_of=failed).count() == 1


def test_staff_see_what_the_worker_has_given_up_and_have_it_made_again(browser: Client, owner: User):
    """A removal of an analysis, say, for which that of its video waits."""
    columns = {"kind": "remove_analysis", "attempts": 290, "given_up_at": Now(), "last_error": "AccessDenied"}
    given_up, left = (OwedCall.objects.create(subject=subject, **columns) for subject in ("chosen", "left"))
    done = OwedCall.objects.create(kind="remove_object", subject="object-that-went", done_at=Now())
    page = browser.get("/admin/videos/owedcall/?given_up_at__isempty=0").content.decode()
    assert all(text in page for text in ("chosen", "left", "AccessDenied"))
    assert "object-that-went" not in page
    assert "1 owed again." in act(browser, "videos/owedcall", "resume", given_up, done)
    due = OwedCall.objects.filter(done_at=None, given_up_at=None, not_before__lte=Now(), attempts=0)
    assert list(due) == [given_up]
    left.refresh_from_db()
    assert left.given_up_at is not None


def test_who_may_only_look_cannot_act(owner: User):
    looking = User.objects.create(username="looking", is_staff=True)
    looking.user_permissions.add(Permission.objects.get(codename="view_analysis"))
    client = Client()
    client.force_login(looking)
    running = make_analysis(owner, status="running")
    act(client, "videos/analysis", "cancel", running)
    running.refresh_from_db()
    assert running.status == "running"


def test_nothing_is_edited(browser: Client, owner: User):
    analysis = make_analysis(owner, status="failed")
    path = f"/admin/videos/analysis/{analysis.pk}"
    assert browser.post(f"{path}/change/", {"status": "succeeded"}).status_code == 403
    assert browser.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert browser.get("/admin/videos/analysis/add/").status_code == 403


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model._meta.label)
def test_every_list_and_row_of_the_admin_is_shown(browser: Client, owner: User, model: type[Model]):
    Estate(owner)
    DeadRequest.objects.create(message_id="m", body="{}")
    OwedCall.objects.create(kind="remove_object", subject="uploads/1/x")
    OutboxMessage.objects.create(analysis=make_analysis(owner), body="{}")
    adjust(owner, 1, reason="a test")
    Group.objects.create(name="operators")
    path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    assert browser.get(path).status_code == 200
    row = model._default_manager.first()
    assert row is not None, f"make one of {model._meta.label}"
    assert browser.get(f"{path}{row.pk}/change/").status_code == 200


@pytest.mark.parametrize("path", ["videos/analysis", "videos/video", "videos/deadrequest", "accounts/apikey"])
def test_lists_are_searched_and_filtered(browser: Client, owner: User, path: str):
    make_analysis(owner, status="failed")
    assert browser.get(f"/admin/{path}/?q=owner").status_code == 200
