"""At-least-once transports, exactly-once outcomes: the whole path under everything that may happen to it.

By hand, after a change of the path: `pytest tests/flow/test_whole_path.py --hypothesis-profile thorough`.
"""

import os
import random
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.videos import deleting, reconciling, resending, waiting
from batch_job.database import Database
from contract.jobs import job_name
from contract.plans import Plan
from tests.flow.invariants import Watch
from tests.flow.machines import ON_DEMAND, SPOT
from tests.flow.world import World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]

STORM_DELIVERIES = 1000
EXAMPLES = settings().max_examples * 3 // 5  # each is a whole world: 60, and 1200 with the profile `thorough`


@pytest.fixture(autouse=True)
def database(monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The job's connection to the database of this test; the worker has no patience."""
    for module, patience in (
        (reconciling, "QUIET_AFTER"),
        (resending, "AGAIN_AFTER"),
        (deleting, "REMOVED_AFTER"),
        (waiting, "BLOCKED_ON_SPOT"),
        (waiting, "BLOCKED_ON_DEMAND"),
        (waiting, "IN_LINE"),
    ):
        monkeypatch.setattr(module, patience, timedelta(0))
    parts = connection.settings_dict
    database = Database(f"postgresql://{parts['USER']}@{parts['HOST']}:{parts['PORT']}/{parts['NAME']}")
    yield database
    database.close()


STEPS = {
    "ask": World.ask,
    "ask again with a key": lambda world: world.ask(f"key-{world.dice.randint(0, 1)}", plan=Plan.PRO),
    "cancel": World.cancel_one,
    "try again": World.retry_one,
    "delete": World.delete_one,
    "delete a video": World.delete_video,
    "redrive": World.redrive_one,
    "relay": World.relay,
    "deliver": World.deliver,
    "deliver twice": lambda world: world.deliver(twice=True),
    "deliver in vain": lambda world: world.queues.give_up(),
    "tick": lambda world: world.machines.tick(world.dice.choice([0.1, 5.0, 40.0])),
    "work": lambda world: world.machines.work(),
    "consume": World.consume,
    "consume twice": lambda world: world.consume(twice=True),
    "lose events": lambda world: world.consume(lost=True),
    "bury": World.bury,
    "bury twice": lambda world: world.bury(twice=True),
    "reconcile": World.reconcile,
    "hurry": World.hurry,
    "a day passes": World.let_a_day_pass,
    "settle": World.settle,
    # One after the other they would come too seldom.
    "hurry, and then bury": lambda world: (world.hurry(), world.bury()),
    "redrive everything": lambda world: (world.bury(), [world.redrive_one() for _ in range(4)]),
    "cancel, delete and remove": World.get_rid_of_one,
    "cancel, delete and remove with its video": World.get_rid_of_a_video,
    "kill a container": lambda world: world.machines.die("killed"),
    "crash a container": lambda world: world.machines.die("crashed"),
    "fail in a container": lambda world: world.machines.die("passing fault"),
    "fail for good": lambda world: world.machines.die("fault"),
    "start no container": lambda world: world.machines.die("not started"),
    "take a machine": lambda world: world.machines.die("machine"),
    "leave a zombie": lambda world: world.machines.die("zombie"),
    "a zombie works": lambda world: world.machines.haunt(),
    "SQS goes or comes": lambda world: setattr(world.queues, "away", not world.queues.away),
    "Batch goes or comes": lambda world: setattr(world.machines, "away", not world.machines.away),
    "S3 goes or comes": lambda world: setattr(world, "bucket_away", not world.bucket_away),
    "Spot goes or comes": lambda world: world.machines.toggle(SPOT),
    "On-Demand goes or comes": lambda world: world.machines.toggle(ON_DEMAND),
    "an answer of SubmitJob is lost": lambda world: setattr(world.machines, "lost_answers", 1),
    "ListJobs is late": lambda world: setattr(world.machines, "late_lists", 1),
    "SubmitJob refuses one": lambda world: setattr(world.machines, "refusals", 1),
}
OFTEN = ("ask", "relay", "deliver twice", "tick", "work", "work", "work", "consume twice")


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    order=st.lists(st.sampled_from([*STEPS, *OFTEN]), min_size=5, max_size=60),
    seed=st.integers(0, 2**32 - 1),
    machines=st.booleans(),
)
def test_whatever_happens_each_request_ends_once_and_right(
    database: Database, order: list[str], seed: int, machines: bool
):
    """No double job, no double charge, nothing lost, in any order of what users, transports and machines do."""
    world = World(database, random.Random(seed))
    watch = Watch(world)
    world.ask()
    for step in order:
        STEPS[step](world)
        watch.look()
    world.come_to_rest(machines=machines)
    watch.check()


def test_a_thousand_repeated_shuffled_and_late_messages(database: Database):
    """One long storm instead of many short ones; WORLD_SEED repeats it."""
    seed = int(os.environ.get("WORLD_SEED") or random.SystemRandom().randrange(10**6))
    print(f"WORLD_SEED={seed}")
    dice = random.Random(seed)
    world = World(database, dice)
    watch = Watch(world)
    world.ask()
    while world.queues.delivered < STORM_DELIVERIES:
        STEPS[dice.choice([*STEPS, *OFTEN])](world)
        if dice.random() < 0.1:  # there is much to look at; the short worlds are looked at after every step
            watch.look()
    world.come_to_rest()
    watch.check()
    assert world.queues.delivered >= STORM_DELIVERIES


def test_spot_is_lost_twice_and_the_third_attempt_on_demand_finishes(database: Database):
    """Whatever is told of the first job afterwards, late and again, changes nothing."""
    world = World(database, random.Random(0))
    watch = Watch(world)
    analysis_id = world.ask(plan=Plan.PRO, long=False)
    machines = world.machines
    on_spot = True
    while not machines.finished:
        world.relay()
        world.deliver()
        world.consume(twice=on_spot)  # what Spot's job says is said again to the end
        machines.tick()
        for container in list(machines.containers.values()):
            on_spot = not container.claim.token.on_demand
            if on_spot and container.begun:
                machines.die("machine")
            else:
                machines.work()
        watch.look()
    world.come_to_rest()
    watch.check()
    spot, last = machines.scheduler.jobs.values()
    assert [len(spot.attempts), len(last.attempts)] == [2, 1]
    assert (spot.name, last.name) == (job_name(analysis_id), job_name(analysis_id, on_demand=True))
    assert last.attempts[0].compute_environment == "framebatch-on-demand"
