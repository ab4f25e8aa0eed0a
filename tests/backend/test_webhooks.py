"""Webhooks: each end of an analysis is told at least once, signed, to whoever asked for it and to nobody else.

How often and how fast is in test_webhook_delivering.py.
"""

import json
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.videos.cancelling import cancel_analysis
from backend.videos.deleting import delete_analysis
from backend.videos.models import AnalysisEvent
from backend.webhooks import services
from backend.webhooks.claiming import claim
from backend.webhooks.models import Delivery, Endpoint, EventType
from backend.webhooks.recording import record
from backend.webhooks.sending import Outcome
from backend.webhooks.signing import headers, new_secret, signature
from tests.backend.making import make_analysis
from tests.backend.receiving import Receiver, deliver_once, end
from tests.backend.serving import Database, wait_until, worker
from tests.backend.together import meanwhile

pytestmark = [
    pytest.mark.django_db(transaction=True),  # senders are threads with connections of their own
    pytest.mark.usefixtures("loopback"),
]

DOCS = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_each_end_is_told_once(owner: User, endpoint: Endpoint, receiver: Receiver, status: str):
    analysis = make_analysis(owner, status="running")
    AnalysisEvent.objects.create(analysis=analysis, status="running", source="job")
    assert deliver_once() == 0
    end(analysis, status)
    assert deliver_once() == 1
    assert deliver_once() == 0
    (request,) = receiver.received
    said = json.loads(request.body)
    assert said["type"] == f"analysis.{status}"
    assert said["data"]["id"] == str(analysis.pk)
    assert said["data"]["status"] == status
    assert said["timestamp"].endswith("Z")
    assert request.headers["content-type"] == "application/json"
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("delivered", 1)
    assert request.headers["webhook-id"] == delivery.message_id


def test_what_the_backend_ends_is_told_as_well(owner: User, endpoint: Endpoint, receiver: Receiver):
    cancel_analysis(analysis=make_analysis(owner))
    deliver_once()
    assert json.loads(receiver.received[0].body)["type"] == "analysis.cancelled"


def test_only_those_who_asked_are_told(owner: User, stranger: User, receiver: Receiver):
    make = services.create_webhook
    make(owner=owner, url=f"{receiver.url}failures", events=["analysis.failed"])
    make(owner=owner, url=f"{receiver.url}all", events=EventType.values)
    make(owner=stranger, url=f"{receiver.url}stranger", events=EventType.values)
    disabled = make(owner=owner, url=f"{receiver.url}disabled", events=EventType.values)
    services.change_webhook(disabled, {"enabled": False})
    end(make_analysis(owner), "succeeded")
    deliver_once()
    assert [request.path for request in receiver.received] == ["/all"]


def test_an_end_that_is_taken_back_is_not_told(owner: User, endpoint: Endpoint):
    """The job's transaction may break off after the event was appended."""
    analysis = make_analysis(owner)
    params = connection.get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold"):
        params.pop(name, None)
    with psycopg.connect(**params) as other:
        other.execute(
            "INSERT INTO videos_analysisevent (analysis_id, at, status, source, detail)"
            " VALUES (%s, now(), 'succeeded', 'job', '{}')",
            [analysis.pk],
        )
        other.rollback()
    assert not Delivery.objects.exists()


def test_an_endpoint_that_is_being_deleted_does_not_undo_the_end(owner: User, endpoint: Endpoint):
    """Its foreign key would otherwise refuse the row, and with it the result of the analysis."""
    analysis = make_analysis(owner)
    params = connection.get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold"):
        params.pop(name, None)
    with psycopg.connect(**params) as deleting:
        deleting.execute("DELETE FROM webhooks_endpoint")

        def ends() -> None:
            end(analysis)
            connections.close_all()

        ending = threading.Thread(target=ends)
        ending.start()
        ending.join(0.5)
        deleting.commit()
        ending.join(60)
    analysis.refresh_from_db()
    assert analysis.status == "succeeded"
    assert not Delivery.objects.exists()


def test_a_webhook_is_deleted_while_an_analysis_ends(api: APIClient, owner: User, endpoint: Endpoint):
    analysis = make_analysis(owner)
    services.ping(endpoint)
    with meanwhile(lambda: end(analysis), after='DELETE FROM "webhooks_delivery"') as other:
        assert api.delete(f"/api/webhooks/{endpoint.pk}").status_code == 204
    assert other[0].exception() is None
    analysis.refresh_from_db()
    assert analysis.status == "succeeded"
    assert not Delivery.objects.exists()


def test_a_webhook_is_deleted_while_an_attempt_at_it_is_recorded(api: APIClient, endpoint: Endpoint):
    """Whoever deletes one that does not work does so while it is tried."""
    services.ping(endpoint)
    (claimed,) = claim(1)
    answered = Outcome(status=500, error="", milliseconds=1)
    with meanwhile(lambda: record(claimed, answered), after='DELETE FROM "webhooks_attempt"') as other:
        assert api.delete(f"/api/webhooks/{endpoint.pk}").status_code == 204
    assert other[0].exception() is None
    assert not Delivery.objects.exists()


def test_what_is_deleted_meanwhile_is_told_without_what_it_held(
    owner: User, endpoint: Endpoint, receiver: Receiver
):
    analysis = make_analysis(owner)
    end(analysis)
    delete_analysis(analysis=analysis)
    deliver_once()
    assert json.loads(receiver.received[0].body)["data"] == {"id": str(analysis.pk), "status": "succeeded"}


def test_signature_is_that_of_the_specification():
    """The example of standardwebhooks.com's own libraries."""
    assert (
        signature(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp=1614265330,
            body=b'{"test": 2432232314}',
        )
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def documented_verification() -> Any:
    """What docs/api.md tells receivers to do."""
    text = DOCS.read_text()
    code = text.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(code, names)  # our own documentation
    return names["verified"]


def test_documented_verification_accepts_what_is_sent(owner: User, endpoint: Endpoint, receiver: Receiver):
    end(make_analysis(owner))
    deliver_once()
    (request,) = receiver.received
    verified = documented_verification()
    assert verified(endpoint.secret, request.headers, request.body)["type"] == "analysis.succeeded"
    for secret, named, body in (
        (new_secret(), request.headers, request.body),
        (endpoint.secret, request.headers, request.body + b" "),
        (endpoint.secret, {**request.headers, "webhook-id": "msg_other"}, request.body),
        (endpoint.secret, {**request.headers, "webhook-timestamp": "1614265330"}, request.body),
        (endpoint.secret, {**request.headers, "webhook-signature": "v1,AAAA v2,xyz"}, request.body),
        (endpoint.secret, {**request.headers, "webhook-signature": "v1,\u00e9"}, request.body),
    ):
        with pytest.raises(ValueError, match="webhook"):
            verified(secret, named, body)


def test_a_new_secret_leaves_time_to_change_over(
    api: APIClient, endpoint: Endpoint, receiver: Receiver, owner: User
):
    changed = api.post(f"/api/webhooks/{endpoint.pk}/rotate-secret").json()["secret"]
    assert changed != endpoint.secret
    end(make_analysis(owner))
    deliver_once()
    verified = documented_verification()
    for secret in (changed, endpoint.secret):
        assert verified(secret, receiver.received[0].headers, receiver.received[0].body)
    Endpoint.objects.update(old_secret_until=timezone.now() - timedelta(seconds=1))
    end(make_analysis(owner))
    deliver_once()
    with pytest.raises(ValueError, match="webhook"):
        verified(endpoint.secret, receiver.received[1].headers, receiver.received[1].body)


def test_headers_hold_every_signature():
    named = headers(["whsec_AAAA", "whsec_BBBB"], message_id="msg_1", timestamp=7, body=b"{}")
    assert len(named["webhook-signature"].split()) == 2
    assert (named["webhook-id"], named["webhook-timestamp"]) == ("msg_1", "7")


@pytest.mark.integration
def test_the_worker_sends_what_a_job_ended(database_url: str, receiver: Receiver, tmp_path: Path):
    database = Database(database_url)
    analysis = database.analysis()
    database.webhook(analysis, receiver.url)
    variables = {"DATABASE_URL": database_url, "WEBHOOKS_ALLOW_LOOPBACK": "true"}
    with worker(tmp_path / "log", "deliver_webhooks", **variables):
        database.end(analysis, "failed")
        wait_until(lambda: len(receiver.received) == 1)
    assert json.loads(receiver.received[0].body)["type"] == "analysis.failed"
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_documented_verification_needs_nothing_but_python():
    code = DOCS.read_text().split("```python\n")[1].split("```")[0]
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, timeout=60)


def test_port_that_no_delivery_could_reach_is_refused_where_the_firewall_is_told(api: APIClient, settings: Any):
    settings.WEBHOOK_PORTS = (443, 8443)
    refused = api.post("/api/webhooks", {"url": "https://hooks.example:9443/x"}, format="json")
    assert refused.status_code == 400
    assert refused.json()["errors"] == {
        "url": ["Its port must be one that this installation can reach: 443, 8443."]
    }
    zero = api.post("/api/webhooks", {"url": "https://hooks.example:0/"}, format="json")
    assert zero.status_code == 400
    for url in ("https://hooks.example", "https://hooks.example:443/", "https://hooks.example:8443/"):
        made = api.post("/api/webhooks", {"url": url}, format="json")
        assert made.status_code == 201
    change = api.patch(f"/api/webhooks/{made.json()['id']}", {"url": "https://hooks.example:9443/"}, format="json")
    assert change.status_code == 400
    settings.WEBHOOK_PORTS = None  # no firewall is told
    assert api.post("/api/webhooks", {"url": "https://hooks.example:9443/"}, format="json").status_code == 201
