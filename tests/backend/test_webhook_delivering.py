"""Deliveries come again until a receiver takes them or a day has passed."""

import contextlib
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connections
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.videos import worker
from backend.videos.loops import Loop
from backend.videos.pulse import beat
from backend.webhooks import delivering, recording, services
from backend.webhooks.claiming import Claim, claim
from backend.webhooks.models import Attempt, Delivery, Endpoint, EventType
from backend.webhooks.recording import MOST_ATTEMPTS, delay_after, forget_old, record
from backend.webhooks.sending import Outcome
from tests.backend.making import make_analysis
from tests.backend.receiving import Receiver, deliver_once, end, later
from tests.backend.serving import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),  # senders are threads with connections of their own
    pytest.mark.usefixtures("loopback"),
]


def test_a_failed_attempt_is_repeated_with_the_same_id_and_body(
    owner: User, endpoint: Endpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recording, "FIRST_DELAY_SECONDS", 500.0)  # no time of it comes while the test runs
    receiver.answers = [500, 302, 404]
    end(make_analysis(owner))
    for attempt in range(1, 5):
        assert deliver_once() == 1
        delivery = Delivery.objects.get()
        if attempt < 4:
            assert delivery.state == "pending"
            tried = Attempt.objects.latest("id").at
            wait = (delivery.not_before - tried).total_seconds()
            assert wait == pytest.approx(500 * 3 ** (attempt - 1), rel=0.25)
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
    assert receiver.received[0].headers["webhook-id"] == f"msg_{lost.delivery_id.hex}"
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


def test_what_is_under_way_is_finished_before_the_worker_waits_for_its_database(
    owner: User, endpoint: Endpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    """While it waits nothing moves: the receiver's answer would be lost, and the request sent again."""

    def failing(most: int) -> list[Claim]:
        raise OperationalError("away")

    receiver.delay_seconds = 60
    services.ping(endpoint)
    with contextlib.closing(delivering.Sender()) as sender:
        assert sender() == 1
        assert Delivery.objects.get().state == "pending"
        monkeypatch.setattr(delivering, "claim", failing)
        threading.Timer(0.5, receiver.goes_on.set).start()  # while the sender looks for more
        with pytest.raises(OperationalError):
            sender()
        assert Delivery.objects.get().state == "delivered"
        with pytest.raises(OperationalError):
            sender()


def test_a_worker_that_is_stopped_breaks_off_its_requests(owner: User, endpoint: Endpoint, receiver: Receiver):
    """They come again when their leases end; a task that nobody ended would be an error in the log."""
    receiver.delay_seconds = 60
    services.ping(endpoint)
    stop = threading.Event()
    step, idle = worker.webhooks()
    loop = Loop("webhooks", step, stop, idle_seconds=idle)
    loop.start()
    wait_until(lambda: len(receiver.received) == 1)
    stop.set()
    loop.join(60)
    assert isinstance(step, delivering.Sender)
    with pytest.raises(RuntimeError, match="closed"):
        step._runner.get_loop()
    assert Delivery.objects.get().claimed_until is not None


def test_workers_that_die_use_up_no_attempts(owner: User, endpoint: Endpoint, receiver: Receiver):
    """A worker that is killed over and over has asked the receiver nothing."""
    end(make_analysis(owner))
    for _ in range(MOST_ATTEMPTS + 1):
        assert len(claim(10)) == 1
        later()
    receiver.answers = [503]
    deliver_once()
    delivery = Delivery.objects.get()
    endpoint.refresh_from_db()
    assert (delivery.state, endpoint.enabled) == ("pending", True)
    assert (delivery.not_before - timezone.now()).total_seconds() < 7


def test_the_worker_says_what_has_piled_up(owner: User, endpoint: Endpoint, caplog: pytest.LogCaptureFixture):
    services.ping(endpoint)
    services.ping(endpoint)
    Delivery.objects.update(not_before=timezone.now() - timedelta(minutes=5))
    disabled = services.create_webhook(owner=owner, url=endpoint.url, events=EventType.values)
    services.ping(disabled)
    services.change_webhook(disabled, {"enabled": False})
    beat()
    (line,) = [entry for entry in caplog.records if entry.msg == "worker is alive"]
    assert line.__dict__["webhooks_due"] == 2
    assert 300 <= line.__dict__["oldest_webhook_seconds"] < 360


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
