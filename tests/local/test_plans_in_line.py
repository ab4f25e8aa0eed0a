"""Who goes first, with the queues, weights and submissions of the product on the scheduler of the Batch stand-in.

AWS does not document its arithmetic: what is proven here holds as far as the stand-in's does
(local/batch/fairshare).
"""

from collections import deque
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from contract.messages import AnalysisRequest
from contract.plans import SHARES, Plan
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submission import submission_for
from local import aws
from local.batch.effects import Launch
from local.batch.registry import Registry
from local.batch.scheduler import Scheduler

ACCOUNT = aws.Account(
    requests_queue_url="", dead_requests_queue_url="", job_events_queue_url="", database_secret_arn="arn:aws:x"
)
JOB_SECONDS = 300.0
WAITING = 3  # of each plan that is in the line, at any time


class Line:
    """One machine, jobs of equal length, and plans that always have jobs waiting."""

    def __init__(self) -> None:
        registry = Registry()
        session: Any = SimpleNamespace(
            client=lambda *_, **__: SimpleNamespace(
                create_scheduling_policy=lambda **given: registry.create_policy(given),
                create_compute_environment=lambda **given: registry.create_environment(given),
                create_job_queue=lambda **given: registry.create_queue(given),
                register_job_definition=lambda **given: registry.register_definition(given),
            )
        )
        variables = {
            "JOB_QUEUE": aws.JOB_QUEUE,
            "JOB_QUEUE_ENTERPRISE": aws.ENTERPRISE_QUEUE,
            "JOB_QUEUE_ON_DEMAND": aws.ON_DEMAND_QUEUE,
            "JOB_DEFINITION": aws.create_batch(session, "", environment={}, account=ACCOUNT, vcpus=1),
            "JOB_EVENTS_QUEUE_URL": "e",
        }
        self.settings = Settings.from_environ(variables)
        self.scheduler = Scheduler(registry)
        self.now = 1_000_000.0
        self.running: deque[str] = deque()

    def add(self, plan: Plan, *, on_demand: bool = False) -> None:
        request = AnalysisRequest(analysis_id=uuid4(), video_key="v", model="m", plan=plan, on_demand=on_demand)
        self.scheduler.submit(submission_for(request, request.to_json(), self.settings), self.now)

    def next(self) -> Plan:
        """The machine's job ends, and another one gets the machine; its plan."""
        if self.running:
            self.now += JOB_SECONDS
            self.scheduler.ended(self.running.popleft(), self.now, exit_code=0)
        (launch,) = (effect for effect in self.scheduler.tick(self.now) if isinstance(effect, Launch))
        self.scheduler.started(launch.job.id, self.now)
        self.running.append(launch.job.id)
        return Plan(launch.job.tags["plan"])


def longest_gap(picked: list[Plan], plan: Plan) -> int:
    """The most starts from one of the plan's to its next, the first counted from the beginning."""
    at = [-1, *(number for number, one in enumerate(picked) if one is plan)]
    return max(after - before for before, after in zip(at, [*at[1:], len(picked)], strict=True))


def test_enterprise_is_always_picked_before_free():
    """Whenever a machine becomes free while both wait, also after Enterprise has had it for hours."""
    line = Line()
    for _ in range(50):
        line.add(Plan.FREE)
    line.next()
    for _ in range(40):
        line.add(Plan.ENTERPRISE)
    assert [line.next() for _ in range(40)] == [Plan.ENTERPRISE] * 40
    assert line.next() is Plan.FREE


@pytest.mark.parametrize(
    ("plans", "on_demand"),
    [
        pytest.param([plan for plan in Plan if plan is not Plan.ENTERPRISE], False, id="Spot, below Enterprise"),
        pytest.param(list(Plan), True, id="On-Demand, all plans"),
    ],
)
def test_free_is_served_in_its_turn_however_many_others_wait(plans: list[Plan], on_demand: bool):
    """A plan's part of the starts is that of 1 / weight factor: one in 15 for Free on Spot, one in 31 On-Demand.

    The bound allows for one more, because no machine is shared.
    """
    line = Line()
    for plan in plans:
        for _ in range(WAITING):
            line.add(plan, on_demand=on_demand)
    picked = []
    for _ in range(200):
        picked.append(line.next())
        line.add(picked[-1], on_demand=on_demand)
    parts = sum(1 / SHARES[plan].weight_factor for plan in plans)
    assert set(picked) == set(plans)
    assert longest_gap(picked, Plan.FREE) <= parts * SHARES[Plan.FREE].weight_factor + 1
