"""What the outbox owes is sent at least once, in order, and never forgotten."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from backend.accounts.models import User
from backend.gateways.errors import QueueUnavailable
from backend.gateways.request_queue import BATCH, RequestQueue
from backend.videos.models import OutboxMessage
from backend.videos.relay import relay_once
from tests.backend.making import make_analysis, make_video
from tests.fix_aws import Queue

pytestmark = pytest.mark.django_db


class RefusingQueue:
    """Takes messages as SQS does, and refuses those that hold a certain word."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.taken: list[str] = []

    def send(self, bodies: Sequence[str]) -> Mapping[int, str]:
        self.taken += [body for body in bodies if self.word not in body]
        return {position: "InternalError" for position, body in enumerate(bodies) if self.word in body}


@pytest.fixture
def owe(owner: User) -> Any:
    """Puts messages into the outbox."""
    analysis = make_analysis(owner, video=make_video(owner))

    def owe(*bodies: str) -> None:
        for body in bodies:
            OutboxMessage.objects.create(analysis=analysis, body=body)

    return owe


def unsent() -> list[str]:
    return list(OutboxMessage.objects.filter(sent_at=None).order_by("id").values_list("body", flat=True))


def relay_all(queue: Any) -> None:
    while relay_once(queue):
        pass


def test_messages_are_sent_in_the_order_they_were_owed(owe: Any, requests_queue: Queue):
    """More than one batch of SQS."""
    bodies = [f"message {number}" for number in range(2 * BATCH + 3)]
    owe(*bodies)
    relay_all(RequestQueue(requests_queue.url))
    assert requests_queue.bodies() == bodies
    assert unsent() == []


def test_sent_messages_are_not_sent_again(owe: Any, requests_queue: Queue):
    owe("once")
    relay_all(RequestQueue(requests_queue.url))
    relay_all(RequestQueue(requests_queue.url))
    assert requests_queue.bodies() == ["once"]


def test_queue_away_loses_nothing(owe: Any, requests_queue: Queue, monkeypatch: pytest.MonkeyPatch):
    owe("a", "b")
    with monkeypatch.context() as away:
        away.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        with pytest.raises(QueueUnavailable):
            relay_once(RequestQueue(requests_queue.url))
    assert unsent() == ["a", "b"]
    relay_all(RequestQueue(requests_queue.url))
    assert requests_queue.bodies() == ["a", "b"]


def test_queue_that_does_not_exist_loses_nothing(owe: Any, requests_queue: Queue):
    owe("a")
    with pytest.raises(QueueUnavailable):
        relay_once(RequestQueue(requests_queue.url + "-gone"))
    assert unsent() == ["a"]


def test_refused_message_waits_and_its_neighbours_go_through(owe: Any):
    owe("good 1", "bad", "good 2")
    queue = RefusingQueue("bad")
    relay_all(queue)
    assert queue.taken == ["good 1", "good 2"]
    message = OutboxMessage.objects.get(sent_at=None)
    assert (message.body, message.attempts, message.last_error) == ("bad", 1, "InternalError")
    assert message.not_before > message.created_at

    OutboxMessage.objects.update(not_before=Now())
    queue.word = "nothing"
    relay_all(queue)
    assert queue.taken == ["good 1", "good 2", "bad"]
    assert unsent() == []


def test_wait_grows_with_every_refusal(owe: Any):
    owe("bad")
    waits = []
    for _ in range(4):
        OutboxMessage.objects.update(not_before=Now(), created_at=Now())
        relay_once(RefusingQueue("bad"))
        message = OutboxMessage.objects.get()
        waits.append(round((message.not_before - message.created_at).total_seconds()))
    assert waits == [2, 4, 8, 16]


def test_crash_after_sending_sends_again(owe: Any, requests_queue: Queue):
    """Twice is harmless, never is not: the Lambda finds the first message's job by its name."""
    owe("again")

    def send_and_crash() -> None:
        with transaction.atomic():
            relay_once(RequestQueue(requests_queue.url))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_and_crash()
    assert unsent() == ["again"]
    relay_all(RequestQueue(requests_queue.url))
    assert requests_queue.bodies() == ["again", "again"]


@pytest.mark.django_db(transaction=True)
def test_two_relays_do_not_send_the_same_message(owe: Any):
    """Several workers may run; each takes what the others have not locked."""
    bodies = [f"message {number}" for number in range(40)]
    owe(*bodies)
    together = threading.Barrier(2)

    class SlowQueue(RefusingQueue):
        def send(self, bodies: Sequence[str]) -> Mapping[int, str]:
            if not self.taken:
                together.wait(timeout=60)  # both hold a batch at the same time
            return super().send(bodies)

    queues = [SlowQueue("nothing"), SlowQueue("nothing")]

    def work(queue: SlowQueue) -> None:
        try:
            relay_all(queue)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[queue]) for queue in queues]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(queue.taken for queue in queues)
    assert sorted(queues[0].taken + queues[1].taken) == sorted(bodies)
