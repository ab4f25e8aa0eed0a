"""At-least-once transports, exactly-once outcomes: the whole path under everything that may happen to it."""

import contextlib
import os
import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.plans.errors import TooManyAnalyses
from backend.videos import reconciling, resending
from batch_job.database import Database
from contract.jobs import job_name
from tests.flow.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]

STORM_DELIVERIES = 1000


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The job's connection to the database of this test; the worker has no patience."""
    monkeypatch.setattr(reconciling, "QUIET_AFTER", timedelta(0))
    monkeypatch.setattr(resending, "AGAIN_AFTER", timedelta(0))
    parts = connection.settings_dict
    database = Database(f"postgresql://{parts['USER']}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}")
    yield database
    database.close()


def ask(world: World, key: str | None) -> None:
    with contextlib.suppress(TooManyAnalyses):
        world.ask(key)


STEPS = {
    "ask": lambda world: ask(world, None),
    "ask again with a key": lambda world: ask(world, f"key-{world.dice.randint(0, 3)}"),
    "cancel": lambda world: world.cancel_one() if world.owner.analyses.exists() else None,
    "relay": World.relay,
    "deliver": World.deliver,
    "deliver twice": lambda world: world.deliver(twice=True),
    "tick": lambda world: world.tick(world.dice.choice([0.1, 5.0, 40.0])),
    "work": World.work,
    "consume": World.consume,
    "consume twice": lambda world: world.consume(twice=True),
    "lose events": lambda world: world.consume(lost=True),
    "bury": World.bury,
    "reconcile": World.reconcile,
    "settle": World.settle,
    "kill a container": lambda world: world.die("killed"),
    "fail in a container": lambda world: world.die("passing fault"),
    "take a machine": lambda world: world.die("machine"),
    "leave a zombie": lambda world: world.die("zombie"),
    "SQS goes or comes": lambda world: setattr(world, "sqs_away", not world.sqs_away),
    "Batch goes or comes": lambda world: setattr(world, "batch_away", not world.batch_away),
    "an answer of SubmitJob is lost": lambda world: setattr(world, "lost_answers", 1),
}
OFTEN = ("ask", "relay", "deliver twice", "tick", "work", "work", "work", "consume twice")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(order=st.lists(st.sampled_from([*STEPS, *OFTEN]), min_size=5, max_size=60), seed=st.integers(0, 2**32 - 1))
def test_whatever_happens_each_request_ends_once_and_right(database: Database, order: list[str], seed: int):
    """No double job, no double charge, nothing lost, in any order of what users, transports and machines do."""
    world = World(database, random.Random(seed))
    world.ask()
    for step in order:
        STEPS[step](world)
    world.come_to_rest()
    world.check()


def test_a_thousand_repeated_shuffled_and_late_messages(database: Database):
    """One long storm instead of many short ones; WORLD_SEED repeats it."""
    seed = int(os.environ.get("WORLD_SEED") or random.SystemRandom().randrange(10**6))
    print(f"WORLD_SEED={seed}")
    dice = random.Random(seed)
    world = World(database, dice)
    world.ask()
    while world.delivered < STORM_DELIVERIES:
        STEPS[dice.choice([*STEPS, *OFTEN])](world)
    world.come_to_rest()
    world.check()
    assert world.delivered >= STORM_DELIVERIES


def test_spot_is_lost_twice_and_the_third_attempt_on_demand_finishes(database: Database):
    """Whatever is told of the first job afterwards, late and again, changes nothing."""
    world = World(database, random.Random(0))
    analysis_id = world.ask()
    on_spot = True
    while not world.finished:
        world.relay()
        world.deliver()
        world.consume(twice=on_spot)  # what Spot's job says is said again to the end
        world.tick()
        for container in list(world.containers.values()):
            on_spot = not container.claim.token.on_demand
            if on_spot and container.steps:
                world.die("machine")
            else:
                world.work()
    world.come_to_rest()
    world.check()
    spot, last = world.scheduler.jobs.values()
    assert [len(spot.attempts), len(last.attempts)] == [2, 1]
    assert (spot.name, last.name) == (job_name(analysis_id), job_name(analysis_id, on_demand=True))
    assert last.attempts[0].compute_environment == "framebatch-on-demand"
