"""Webhooks: each end of an analysis is told at least once, signed, to whoever asked for it and to nobody else."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection, connections
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.videos.cancelling import cancel_analysis
from backend.videos.deleting import delete_analysis
from backend.videos.models import Analysis, AnalysisEvent
from backend.webhooks import delivering, services
from backend.webhooks.delivering import MOST_ATTEMPTS, claim, delay_after, deliver_once, forget_old, record
from backend.webhooks.errors import MOST_WEBHOOKS
from backend.webhooks.models import Attempt, Delivery, Endpoint, EventType
from backend.webhooks.sending import Outcome
from backend.webhooks.signing import headers, new_secret, signature
from tests.backend.making import make_analysis
from tests.backend.receiving import Receiver, receiving
from tests.backend.serving import Database, wait_until, worker

pytestmark = pytest.mark.django_db(transaction=True)  # senders are threads with connections of their own

DOCS = Path(__file__).parents[2] / "docs" / "api.md"


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.WEBHOOKS_ALLOW_LOOPBACK = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def endpoint(owner: User, receiver: Receiver) -> Endpoint:
    return services.create_webhook(owner=owner, url=receiver.url, events=EventType.values)


def end(analysis: Analysis, status: str = "succeeded") -> None:
    """As the job does, with SQL of its own."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE videos_analysis SET status = %s WHERE id = %s", [status, analysis.pk])
        cursor.execute(
            "INSERT INTO videos_analysisevent (analysis_id, at, status, source, detail)"
            " VALUES (%s, clock_timestamp(), %s, 'job', '{}')",
            [analysis.pk, status],
        )


def later(delivery: Delivery | None = None) -> None:
    """What waits for its next attempt has waited long enough."""
    Delivery.objects.update(not_before=timezone.now(), claimed_until=None)


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
        ending.join(10)
    analysis.refresh_from_db()
    assert analysis.status == "succeeded"
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


def test_a_failed_attempt_is_repeated_with_the_same_id_and_body(
    owner: User, endpoint: Endpoint, receiver: Receiver
):
    receiver.answers = [500, 302, 404]
    end(make_analysis(owner))
    for attempt in range(1, 5):
        assert deliver_once() == 1
        delivery = Delivery.objects.get()
        if attempt < 4:
            assert delivery.state == "pending"
            wait = (delivery.not_before - timezone.now()).total_seconds()
            assert wait == pytest.approx(5 * 3 ** (attempt - 1), rel=0.25)
            assert deliver_once() == 0, "not before its time"
            later()
    assert delivery.state == "delivered"
    assert len({(request.headers["webhook-id"], request.body) for request in receiver.received}) == 1
    assert [row.status for row in Attempt.objects.order_by("id")] == [500, 302, 404, 204]
    endpoint.refresh_from_db()
    assert endpoint.last_success_at is not None


def test_attempts_are_spread_over_a_day():
    delays = [delay_after(attempt).total_seconds() for attempt in range(1, MOST_ATTEMPTS)]
    assert 18 * 3600 < sum(delays) < 28 * 3600
    assert delays[0] <= 6
    assert max(delays) <= 7.2 * 3600
    assert len({delay_after(5) for _ in range(10)}) > 1, "not all at the same moment"


def test_a_receiver_that_never_takes_anything_is_disabled_with_the_reason(
    api: APIClient, owner: User, endpoint: Endpoint, receiver: Receiver
):
    receiver.otherwise = 503
    end(make_analysis(owner))
    for _ in range(MOST_ATTEMPTS):
        later()
        assert deliver_once() == 1
    later()
    assert deliver_once() == 0
    assert Delivery.objects.get().state == "failed"
    shown = api.get(f"/api/webhooks/{endpoint.pk}").json()
    assert shown["enabled"] is False
    assert "it answered with 503" in shown["disabled_reason"]

    end(make_analysis(owner))
    assert Delivery.objects.count() == 1, "nothing is made for it"
    assert api.post(f"/api/webhooks/{endpoint.pk}/ping").json()["code"] == "webhook_disabled"
    receiver.otherwise = 200
    again = api.patch(f"/api/webhooks/{endpoint.pk}", {"enabled": True}, format="json").json()
    assert (again["enabled"], again["disabled_reason"]) == (True, None)
    end(make_analysis(owner))
    assert deliver_once() == 1


def test_a_receiver_that_has_taken_something_meanwhile_stays_enabled(
    owner: User, endpoint: Endpoint, receiver: Receiver
):
    """One event that it cannot bear is no reason to withhold the others."""
    receiver.otherwise = 500
    end(make_analysis(owner))
    deliver_once()
    Endpoint.objects.update(last_success_at=timezone.now())
    for _ in range(MOST_ATTEMPTS - 1):
        later()
        deliver_once()
    assert Delivery.objects.get().state == "failed"
    endpoint.refresh_from_db()
    assert endpoint.enabled


def test_a_receiver_that_is_gone_is_not_asked_again(owner: User, endpoint: Endpoint, receiver: Receiver):
    receiver.answers = [410]
    end(make_analysis(owner))
    deliver_once()
    endpoint.refresh_from_db()
    assert (endpoint.enabled, Delivery.objects.get().state) == (False, "failed")
    assert "410" in endpoint.disabled_reason


def test_a_worker_that_died_is_replaced_when_its_time_is_up(owner: User, endpoint: Endpoint, receiver: Receiver):
    """It may have sent the request or not: at least once means once more."""
    end(make_analysis(owner))
    (lost,) = claim(10)
    assert claim(10) == []
    assert deliver_once() == 0
    Delivery.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert deliver_once() == 1
    assert receiver.received[0].headers["webhook-id"] == lost.message_id
    # And if it lives after all, what it says is logged and changes nothing.
    record(lost, Outcome(status=500, error="", milliseconds=1))
    assert Delivery.objects.get().state == "delivered"
    assert Attempt.objects.count() == 2


def test_several_workers_send_each_delivery_once(owner: User, endpoint: Endpoint, receiver: Receiver):
    for _ in range(20):
        end(make_analysis(owner))

    def work() -> None:
        deliver_once()
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join(60)
    deliver_once()
    ids = [request.headers["webhook-id"] for request in receiver.received]
    assert len(ids) == len(set(ids)) == 20


def test_a_slow_receiver_does_not_hold_up_the_others(owner: User, stranger: User):
    with receiving() as slow, receiving() as quick:
        slow.delay_seconds = 2
        services.create_webhook(owner=owner, url=slow.url, events=EventType.values)
        services.create_webhook(owner=stranger, url=quick.url, events=EventType.values)
        for _ in range(10):
            end(make_analysis(owner))
        end(make_analysis(stranger))
        sending = threading.Thread(target=lambda: (deliver_once(), connections.close_all()))
        sending.start()
        wait_until(lambda: len(quick.received) == 1, seconds=20)
        assert len(slow.received) <= delivering.PER_ENDPOINT
        sending.join(60)
        assert len(slow.received) == 10


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


def test_port_that_no_delivery_could_reach_is_refused_where_the_firewall_is_told(api: APIClient, settings: Any):
    settings.WEBHOOK_PORTS = (443, 8443)
    refused = api.post("/api/webhooks", {"url": "https://hooks.example:9443/x"}, format="json")
    assert refused.status_code == 400
    assert refused.json()["errors"] == {
        "url": ["Its port must be one that this installation can reach: 443, 8443."]
    }
    for url in ("https://hooks.example", "https://hooks.example:443/", "https://hooks.example:8443/"):
        made = api.post("/api/webhooks", {"url": url}, format="json")
        assert made.status_code == 201
    change = api.patch(f"/api/webhooks/{made.json()['id']}", {"url": "https://hooks.example:9443/"}, format="json")
    assert change.status_code == 400
    settings.WEBHOOK_PORTS = None  # no firewall is told
    assert api.post("/api/webhooks", {"url": "https://hooks.example:9443/"}, format="json").status_code == 201


@pytest.mark.parametrize("events", [[], ["analysis.begun"], "analysis.failed", [["analysis.failed"]]])
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


def test_what_is_old_is_forgotten(owner: User, endpoint: Endpoint):
    for age in (29, 31):
        services.ping(endpoint)
        moment = timezone.now() - timedelta(days=age)
        Delivery.objects.filter(created_at__gt=timezone.now() - timedelta(days=1)).update(
            created_at=moment, queued_at=moment
        )
    assert forget_old() == 1
    assert forget_old() == 0
    assert Delivery.objects.count() == 1


def test_headers_hold_every_signature():
    named = headers(["whsec_AAAA", "whsec_BBBB"], message_id="msg_1", timestamp=7, body=b"{}")
    assert len(named["webhook-signature"].split()) == 2
    assert (named["webhook-id"], named["webhook-timestamp"]) == ("msg_1", "7")


@pytest.mark.integration
def test_the_worker_sends_what_a_job_ended(database_url: str, receiver: Receiver, tmp_path: Path):
    database = Database(database_url)
    analysis = database.analysis()
    with psycopg.connect(database_url) as direct:
        direct.execute(
            "INSERT INTO webhooks_endpoint (id, owner_id, url, events, secret)"
            " SELECT %s, owner_id, %s, %s, %s FROM videos_analysis WHERE id = %s",
            [uuid4(), receiver.url, EventType.values, new_secret(), analysis],
        )
    variables = {"DATABASE_URL": database_url, "WEBHOOKS_ALLOW_LOOPBACK": "true"}
    with worker(tmp_path / "log", "deliver_webhooks", **variables):
        with psycopg.connect(database_url) as direct:
            direct.execute("UPDATE videos_analysis SET status = 'failed' WHERE id = %s", [analysis])
            direct.execute(
                "INSERT INTO videos_analysisevent (analysis_id, at, status, source, detail)"
                " VALUES (%s, now(), 'failed', 'job', '{}')",
                [analysis],
            )
        wait_until(lambda: len(receiver.received) == 1, seconds=30)
    assert json.loads(receiver.received[0].body)["type"] == "analysis.failed"
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_documented_verification_needs_nothing_but_python():
    code = DOCS.read_text().split("```python\n")[1].split("```")[0]
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, timeout=60)
