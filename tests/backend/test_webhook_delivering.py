"""Deliveries come again until a receiver takes them, and nobody's receiver holds up anybody else's."""

import threading
from collections import Counter
from datetime import timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.videos.pulse import beat
from backend.webhooks import claiming, delivering, names, services
from backend.webhooks.claiming import PER_ENDPOINT, PER_OWNER, Claim, claim
from backend.webhooks.delivering import OUR_FAULT
from backend.webhooks.errors import MOST_WEBHOOKS
from backend.webhooks.models import Attempt, Delivery, Endpoint, EventType
from backend.webhooks.payloads import payload_of
from backend.webhooks.recording import MOST_ATTEMPTS, delay_after, forget_old, record
from backend.webhooks.sending import Outcome
from tests.backend.making import make_analysis
from tests.backend.naming import naming
from tests.backend.receiving import Receiver, deliver_once, end, later, receiving
from tests.backend.serving import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),  # senders are threads with connections of their own
    pytest.mark.usefixtures("loopback"),
]


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
        assert len(slow.received) <= PER_ENDPOINT
        sending.join(60)
        assert len(slow.received) == 10


@pytest.mark.parametrize("hangs", ["the receiver", "the name server"])
def test_an_owner_of_many_slow_receivers_holds_up_nobody_else(
    owner: User, stranger: User, monkeypatch: pytest.MonkeyPatch, hangs: str
):
    monkeypatch.setattr(names, "LOOK_UP_SECONDS", 8.0)
    with receiving() as quick, naming(monkeypatch) as server:
        with receiving() as slow:
            slow.delay_seconds = 12
            server.silent.add("silent.example")
            url = slow.url if hangs == "the receiver" else "https://silent.example/"
            for _ in range(MOST_WEBHOOKS):
                services.create_webhook(owner=owner, url=url, events=EventType.values)
            services.create_webhook(owner=stranger, url=quick.url, events=EventType.values)
            for _ in range(4):
                end(make_analysis(owner))
            sending = threading.Thread(target=lambda: (deliver_once(), connections.close_all()))
            sending.start()
            wait_until(lambda: Delivery.objects.filter(attempts=1).count() == PER_OWNER, seconds=20)
            end(make_analysis(stranger))
            wait_until(lambda: len(quick.received) == 1, seconds=20)
            assert not Attempt.objects.filter(delivery__endpoint__owner=owner).exists(), "nothing had to end first"
            Delivery.objects.filter(claimed_until=None).update(state="failed")  # the rest need not be waited for
        sending.join(60)


def test_nobodys_second_request_goes_before_anothers_first(owner: User, stranger: User, receiver: Receiver):
    for user in (owner, stranger):
        services.create_webhook(owner=user, url=receiver.url, events=EventType.values)
    for _ in range(5):
        end(make_analysis(owner))
    end(make_analysis(stranger))
    assert owners_of(claim(2)) == {owner.pk: 1, stranger.pk: 1}


def test_one_receiver_of_an_owner_does_not_hold_up_his_others(owner: User, endpoint: Endpoint, receiver: Receiver):
    for _ in range(20):
        end(make_analysis(owner))
    other = services.create_webhook(owner=owner, url=receiver.url, events=EventType.values)
    assert len(claim(32)) == PER_ENDPOINT
    end(make_analysis(owner))
    (claimed,) = claim(32)
    assert Delivery.objects.get(pk=claimed.delivery_id).endpoint == other


def test_several_workers_together_hold_no_more_than_one_may(owner: User, receiver: Receiver):
    for _ in range(MOST_WEBHOOKS):
        services.create_webhook(owner=owner, url=receiver.url, events=EventType.values)
    for _ in range(3):
        end(make_analysis(owner))
    claimed: list[Claim] = []

    def work() -> None:
        claimed.extend(claim(32))
        connections.close_all()

    other = threading.Thread(target=work)
    with transaction.atomic():
        claimed.extend(claim(32))
        other.start()
        other.join(0.5)  # what the first has taken, the other one cannot see yet
    other.join(60)
    assert owners_of(claimed) == {owner.pk: PER_OWNER}


def owners_of(claimed: list[Claim]) -> Counter[int]:
    deliveries = Delivery.objects.filter(pk__in=[one.delivery_id for one in claimed])
    return Counter(deliveries.values_list("endpoint__owner_id", flat=True))


@pytest.fixture(params=["a broken row", "a payload that cannot be made"])
def poison(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, endpoint: Endpoint) -> Delivery:
    """A delivery that cannot be sent, before others that can."""
    broken = services.create_webhook(owner=endpoint.owner, url=endpoint.url, events=EventType.values)
    delivery = services.ping(broken)
    if request.param == "a broken row":
        Endpoint.objects.filter(pk=broken.pk).update(secret="whsec_a")
    else:

        def payload(wanted: Delivery) -> str:
            if wanted.pk == delivery.pk:
                raise KeyError("summary")
            return payload_of(wanted)

        monkeypatch.setattr(claiming, "payload_of", payload)
    services.ping(endpoint)
    return delivery


def test_a_delivery_that_cannot_be_made_is_postponed_alone(
    api: APIClient, poison: Delivery, receiver: Receiver, caplog: pytest.LogCaptureFixture
):
    assert deliver_once() == 2
    assert len(receiver.received) == 1
    (logged,) = [entry for entry in caplog.records if entry.levelname == "ERROR"]
    assert logged.__dict__["delivery_id"] == poison.pk
    shown = api.get(f"/api/webhooks/{poison.endpoint_id}/deliveries/{poison.pk}").json()
    assert [(row["status"], row["error"]) for row in shown["attempts"]] == [(None, OUR_FAULT)]
    assert shown["state"] == "pending"
    poison.refresh_from_db()
    assert 3 < (poison.not_before - timezone.now()).total_seconds() < 7


def test_what_is_our_fault_disables_no_webhook(poison: Delivery, receiver: Receiver):
    for _ in range(MOST_ATTEMPTS):
        deliver_once()
        later()
    poison.refresh_from_db()
    poison.endpoint.refresh_from_db()
    assert (poison.state, poison.endpoint.enabled) == ("failed", True)


def test_what_cannot_be_stored_concerns_no_other_delivery(
    endpoint: Endpoint, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    strange, plain = services.ping(endpoint), services.ping(endpoint)

    def storing(claimed: Claim, outcome: Outcome) -> None:
        if claimed.delivery_id == strange.pk:
            raise ValueError("a NUL in a text")
        record(claimed, outcome)

    monkeypatch.setattr(delivering, "record", storing)
    deliver_once()
    plain.refresh_from_db()
    strange.refresh_from_db()
    assert (plain.state, strange.state) == ("delivered", "pending")
    assert strange.claimed_until is not None, "it comes again when its lease ends"
    assert str(strange.pk) in [str(entry.__dict__.get("delivery_id")) for entry in caplog.records]


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
