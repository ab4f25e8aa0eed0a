"""Nobody's receivers and no broken delivery hold up anybody else's."""

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections, transaction
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.webhooks import claiming, delivering, names, services
from backend.webhooks.claiming import PER_ENDPOINT, PER_OWNER, Claim, claim
from backend.webhooks.delivering import OUR_FAULT
from backend.webhooks.errors import MOST_WEBHOOKS
from backend.webhooks.models import Attempt, Delivery, Endpoint, EventType
from backend.webhooks.payloads import payload_of
from backend.webhooks.recording import MOST_ATTEMPTS, record
from backend.webhooks.sending import Outcome
from tests.backend.making import make_analysis
from tests.backend.naming import naming
from tests.backend.receiving import Receiver, deliver_once, end, later, receiving
from tests.backend.serving import wait_until

pytestmark = [
    pytest.mark.django_db(transaction=True),  # senders are threads with connections of their own
    pytest.mark.usefixtures("loopback"),
]


def test_a_slow_receiver_does_not_hold_up_the_others(owner: User, stranger: User):
    with receiving() as slow, receiving() as quick:
        slow.delay_seconds = 100
        services.create_webhook(owner=owner, url=slow.url, events=EventType.values)
        services.create_webhook(owner=stranger, url=quick.url, events=EventType.values)
        for _ in range(10):
            end(make_analysis(owner))
        end(make_analysis(stranger))
        sending = threading.Thread(target=lambda: (deliver_once(), connections.close_all()))
        sending.start()
        wait_until(lambda: len(quick.received) == 1)
        assert len(slow.received) <= PER_ENDPOINT
        slow.goes_on.set()
        sending.join(60)
        assert len(slow.received) == 10


@pytest.mark.parametrize("hangs", ["the receiver", "the name server"])
def test_an_owner_of_many_slow_receivers_holds_up_nobody_else(
    owner: User, stranger: User, monkeypatch: pytest.MonkeyPatch, hangs: str
):
    monkeypatch.setattr(names, "LOOK_UP_SECONDS", 100.0)
    with receiving() as quick, naming(monkeypatch) as server:
        with receiving() as slow:
            slow.delay_seconds = 100
            server.silent.add("silent.example")
            url = slow.url if hangs == "the receiver" else "https://silent.example/"
            for _ in range(MOST_WEBHOOKS):
                services.create_webhook(owner=owner, url=url, events=EventType.values)
            services.create_webhook(owner=stranger, url=quick.url, events=EventType.values)
            for _ in range(4):
                end(make_analysis(owner))
            sending = threading.Thread(target=lambda: (deliver_once(), connections.close_all()))
            sending.start()
            wait_until(lambda: Delivery.objects.filter(attempts=1).count() == PER_OWNER)
            end(make_analysis(stranger))
            wait_until(lambda: len(quick.received) == 1)
            assert not Attempt.objects.filter(delivery__endpoint__owner=owner).exists(), "nothing had to end first"
            Delivery.objects.filter(claimed_until=None).update(state="failed")  # the rest need not be waited for
            server.silent.clear()
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


def test_a_look_visits_only_receivers_that_are_owed_something(owner: User, endpoint: Endpoint):
    """It is repeated every second, however many webhooks an installation has."""
    idle = (Endpoint(owner=owner, url=endpoint.url, events=[], secret="", enabled=n > 200) for n in range(1000))
    Endpoint.objects.bulk_create(idle)
    services.ping(endpoint)
    values = {"lease": claiming.LEASE, "per_endpoint": PER_ENDPOINT, "per_owner": PER_OWNER, "most": 32}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE webhooks_endpoint, webhooks_delivery")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {claiming._CLAIM}", values)
        ((plan,),) = cursor.fetchall()
    visits = [node["Actual Loops"] for node in nodes_of(plan[0]["Plan"]) if node["Node Type"] == "Append"]
    assert visits == [1]


def nodes_of(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", []):
        yield from nodes_of(below)


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
    tried = poison.log.latest("id").at
    assert 3 < (poison.not_before - tried).total_seconds() < 7


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
