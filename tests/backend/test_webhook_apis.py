"""What owners do with their webhooks and deliveries over HTTP."""

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.webhooks import services
from backend.webhooks.errors import MOST_WEBHOOKS
from backend.webhooks.models import Delivery, Endpoint, EventType
from tests.backend.making import make_analysis
from tests.backend.receiving import Receiver, deliver_once, end
from tests.backend.together import removed_once_it_was_seen

pytestmark = [
    pytest.mark.django_db(transaction=True),  # senders are threads with connections of their own
    pytest.mark.usefixtures("loopback"),
]


def test_a_delivery_can_be_sent_again(api: APIClient, owner: User, endpoint: Endpoint, receiver: Receiver):
    end(make_analysis(owner))
    deliver_once()
    (shown,) = api.get(f"/api/webhooks/{endpoint.pk}/deliveries").json()["results"]
    assert (shown["state"], shown["next_attempt_at"]) == ("delivered", None)
    assert [(row["status"], row["error"]) for row in shown["attempts"]] == [(204, None)]
    again = api.post(shown["links"]["replay"])
    assert again.status_code == 202
    assert again.json()["state"] == "pending"
    assert deliver_once() == 1
    assert receiver.received[0].headers["webhook-id"] == receiver.received[1].headers["webhook-id"]
    assert receiver.received[0].body == receiver.received[1].body
    assert len(api.get(shown["links"]["self"]).json()["attempts"]) == 2


def test_why_nothing_came_is_in_the_log(api: APIClient, owner: User):
    endpoint = services.create_webhook(owner=owner, url="http://127.0.0.1:9/", events=EventType.values)
    services.ping(endpoint)
    deliver_once()
    (shown,) = api.get(f"/api/webhooks/{endpoint.pk}/deliveries?state=pending&state=failed").json()["results"]
    (attempt,) = shown["attempts"]
    assert attempt["status"] is None
    assert "failed" in attempt["error"]
    assert api.get(f"/api/webhooks/{endpoint.pk}/deliveries?state=delivered").json()["results"] == []
    assert api.get(f"/api/webhooks/{endpoint.pk}/deliveries?status=failed").status_code == 400


def test_a_webhook_can_be_tried(api: APIClient, endpoint: Endpoint, receiver: Receiver):
    assert api.post(f"/api/webhooks/{endpoint.pk}/ping").status_code == 202
    deliver_once()
    said = json.loads(receiver.received[0].body)
    assert (said["type"], said["data"]) == ("webhook.ping", {"webhook": str(endpoint.pk)})


def test_a_webhook_is_made_changed_and_deleted(api: APIClient, owner: User, receiver: Receiver):
    answer = api.post("/api/webhooks", {"url": "https://hooks.example/a?b=c"}, format="json")
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    made = answer.json()
    assert answer["Location"] == made["links"]["self"]
    assert made["events"] == sorted(EventType.values)
    assert made["secret"].startswith("whsec_")
    shown = api.get(made["links"]["self"]).json()
    assert "secret" not in shown
    assert api.get("/api/webhooks").json()["results"] == [shown]
    changed = api.patch(
        made["links"]["self"], {"url": "https://new.example", "events": ["analysis.failed"]}, format="json"
    ).json()
    assert (changed["url"], changed["events"]) == ("https://new.example", ["analysis.failed"])
    assert api.delete(made["links"]["self"]).status_code == 204
    assert api.get(made["links"]["self"]).status_code == 404


@pytest.mark.parametrize(
    ("method", "step"),
    [("patch", ""), ("delete", ""), ("post", "/rotate-secret"), ("post", "/ping"), ("post", "/replay")],
)
def test_a_webhook_that_is_deleted_meanwhile_is_not_there(
    api: APIClient, endpoint: Endpoint, method: str, step: str
):
    path = f"/api/webhooks/{endpoint.pk}"
    if step == "/replay":
        path = f"{path}/deliveries/{services.ping(endpoint).pk}"
    with removed_once_it_was_seen(Delivery if step == "/replay" else Endpoint):
        answer = getattr(api, method)(f"{path}{step}", {} if method == "patch" else None, format="json")
    assert answer.status_code == (204 if method == "delete" else 404)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example",
        "ftp://hooks.example",
        "http://hooks.example",
        "https://",
        "https://hooks.example:port",
        "https://user:secret@hooks.example",
        "https://hooks.example/#part",
        "https://hooks.example/a b",
        "https://hooks.ex\nample/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[fd00:ec2::254]/",
        "https://[::ffff:10.0.0.1]/",
        "https://0.0.0.0/",
        "https://" + "a" * 2050,
        "http://169.254.169.254/",
    ],
)
def test_urls_that_cannot_be_are_refused(api: APIClient, url: str):
    answer = api.post("/api/webhooks", {"url": url}, format="json")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["url"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/", "https://localhost/", "https://[::1]/", "https://localhost./"]
)
def test_this_machine_is_refused_unless_it_is_allowed(api: APIClient, settings: Any, url: str):
    settings.WEBHOOKS_ALLOW_LOOPBACK = False
    assert api.post("/api/webhooks", {"url": url}, format="json").status_code == 400


@pytest.mark.parametrize(
    "events", [[], ["analysis.begun"], "analysis.failed", [["analysis.failed"]], ["analysis.failed"] * 4]
)
def test_unknown_events_are_refused(api: APIClient, events: Any):
    answer = api.post("/api/webhooks", {"url": "https://hooks.example", "events": events}, format="json")
    assert answer.status_code == 400
    assert [name.partition(".")[0] for name in answer.json()["errors"]] == ["events"]


def test_a_user_has_only_so_many(api: APIClient, stranger_api: APIClient):
    body = {"url": "https://hooks.example"}
    for _ in range(MOST_WEBHOOKS):
        assert api.post("/api/webhooks", body, format="json").status_code == 201
    refused = api.post("/api/webhooks", body, format="json")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_webhooks")
    assert stranger_api.post("/api/webhooks", body, format="json").status_code == 201
