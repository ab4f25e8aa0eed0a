"""Killed after each single step of a delivery, the sender of webhooks loses no event.

One may come twice then, and the receiver knows it by `webhook-id`.
"""

import json
import os
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.backend.receiving import Receiver, receiving
from tests.backend.serving import Database, environment, process, wait_until, worker
from tests.flow.dying import lives

pytestmark = pytest.mark.integration

# That there are to die after, so that the test cannot come to look at none. On a busy machine there are more: the
# sender looks again each second, and another of its loops goes on meanwhile.
FEWEST_STEPS = 10


@pytest.fixture
def own_database(database_url: str) -> Database:
    return Database(database_url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def variables(database_url: str) -> dict[str, str]:
    return {"DATABASE_URL": database_url, "WEBHOOKS_ALLOW_LOOPBACK": "true"}


def test_each_event_is_told_whatever_step_was_the_last(
    own_database: Database, receiver: Receiver, variables: dict[str, str], tmp_path: Path
):
    owed = []
    with lives(tmp_path, "backend.config.asgi", environment=environment(**variables)) as senders:
        for after in count(1):
            put_off(own_database, "1 hour")  # what the last one left: one delivery at a time, or steps would mix
            owed.append(ended(own_database, receiver))
            assert senders.die("backend.manage", "deliver_webhooks", after=after) == -signal.SIGKILL
            if state_of(own_database, owed[-1]) == "delivered":
                break
    # The last kill came after the work was done: every step before it has been the last one once.
    assert len(owed) > FEWEST_STEPS
    assert state_of(own_database, owed[0]) == "pending"
    lost = own_database.fetch("SELECT count(*) FROM webhooks_delivery WHERE state = 'pending'")
    requests = len(receiver.received)
    told_anew(own_database, variables, tmp_path)
    assert {event(request.body) for request in receiver.received} == set(owed)
    assert len(receiver.received) == requests + int(str(lost))
    assert requests > len(owed) - int(str(lost)), "one was killed between the request and what came of it"
    messages = {(request.headers["webhook-id"], request.body) for request in receiver.received}
    assert len(messages) == len(owed), "what comes again is the same"


def test_an_event_is_told_again_where_the_answer_was_never_read(
    own_database: Database, receiver: Receiver, variables: dict[str, str], tmp_path: Path
):
    analysis = ended(own_database, receiver)
    receiver.delay_seconds = 60
    with process(tmp_path / "killed", "-m", "backend.manage", "deliver_webhooks", **variables) as sending:
        wait_until(lambda: len(receiver.received) == 1)
        os.kill(sending.pid, signal.SIGKILL)
    receiver.delay_seconds = 0
    told_anew(own_database, variables, tmp_path)
    first, second = receiver.received
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert event(second.body) == str(analysis)


def ended(database: Database, receiver: Receiver) -> str:
    """An analysis of a user of its own, whose end is owed to the receiver."""
    analysis = database.analysis()
    database.webhook(analysis, receiver.url)
    database.end(analysis, "failed")
    return str(analysis)


def told_anew(database: Database, variables: dict[str, str], folder: Path) -> None:
    """What a living worker does once the leases of the dead ones have ended."""
    put_off(database, "0")
    with worker(folder / "log", "deliver_webhooks", **variables):
        wait_until(
            lambda: database.fetch("SELECT count(*) FROM webhooks_delivery WHERE state <> 'delivered'") == 0
        )


def put_off(database: Database, interval: str) -> None:
    database.fetch(
        "UPDATE webhooks_delivery SET claimed_until = NULL, not_before = now() + %s::interval"
        " WHERE state = 'pending' RETURNING 1",
        interval,
    )


def state_of(database: Database, analysis: str) -> object:
    return database.fetch("SELECT state FROM webhooks_delivery WHERE analysis_id = %s", analysis)


def event(body: bytes) -> str:
    """Which analysis it tells of."""
    return str(json.loads(body)["data"]["id"])
