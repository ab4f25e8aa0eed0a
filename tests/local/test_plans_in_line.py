"""Who goes first, with the queues, weights and submissions of the product on the scheduler of the Batch stand-in.

AWS does not document its arithmetic: what is proven here holds as far as the stand-in's does
(local/batch/fairshare).
"""

from collections import deque
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.videos.waiting import IN_LINE
from contract.messages import AnalysisRequest
from contract.plans import SHARES, Plan
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submission import submission_for
from local import aws
from local.batch.effects import Launch
from local.batch.jobs import JobStatus
from local.batch.registry import Registry
from local.batch.scheduler import Scheduler

ACCOUNT = aws.Account(
    requests_queue_url="", dead_requests_queue_url="", job_events_queue_url="", database_secret_arn="arn:aws:x"
)
JOB_SECONDS = 300.0
HOUR = 3600  # shareDecaySeconds of local.aws and of Terraform
WAITING = 3  # of each plan that is in the line, at any time


class Line:
    """One machine, jobs of equal length, and plans that always have jobs waiting."""

    def __init__(self) -> None:
        self.registry = registry = Registry()
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
            "JOB_QUEUE_ON_DEMAND_ENTERPRISE": aws.ON_DEMAND_ENTERPRISE_QUEUE,
            "JOB_DEFINITION": aws.create_batch(session, "", environment={}, account=ACCOUNT, vcpus=1),
            "JOB_EVENTS_QUEUE_URL": "e",
        }
        self.settings = Settings.from_environ(variables)
        self.scheduler = Scheduler(registry)
        self.now = 1_000_000.0
        self.running: deque[str] = deque()

    def add(self, plan: Plan, *, on_demand: bool = False) -> str:
        """The job's id."""
        request = AnalysisRequest(analysis_id=uuid4(), video_key="v", model="m", plan=plan, on_demand=on_demand)
        return self.scheduler.submit(submission_for(request, request.to_json(), self.settings), self.now).id

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


on_spot_and_on_demand = pytest.mark.parametrize(
    "on_demand", [pytest.param(False, id="Spot"), pytest.param(True, id="On-Demand")]
)


@on_spot_and_on_demand
def test_enterprise_is_always_picked_before_free(on_demand: bool):
    """Whenever a machine becomes free while both wait, also after Enterprise has had it for hours."""
    line = Line()
    for _ in range(50):
        line.add(Plan.FREE, on_demand=on_demand)
    line.next()
    for _ in range(40):
        line.add(Plan.ENTERPRISE, on_demand=on_demand)
    assert [line.next() for _ in range(40)] == [Plan.ENTERPRISE] * 40
    assert line.next() is Plan.FREE


@on_spot_and_on_demand
def test_free_is_served_in_its_turn_however_many_others_wait_below_enterprise(on_demand: bool):
    """A plan's part of the starts is that of 1 / weight factor: one in 15 for Free.

    The bound allows for one more, because no machine is shared.
    """
    plans = [plan for plan in Plan if plan is not Plan.ENTERPRISE]
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


@dataclass(frozen=True, slots=True)
class Arrival:
    pause: int  # seconds since the one before
    plan: Plan
    length: int  # seconds


class Day(Line):
    """Jobs of any length that come at any time, and several machines."""

    def __init__(self, machines: int, *, on_demand: bool = False) -> None:
        super().__init__()
        self.on_demand = on_demand
        for environment in self.registry.environments.values():
            environment["computeResources"]["maxvCpus"] = machines
        self.lengths: dict[str, int] = {}
        self.ends: dict[str, float] = {}
        self.started: list[tuple[Plan, set[Plan]]] = []  # and which plans went on waiting
        self.longest_wait = 0.0  # of Free, for its next start
        self._free_since: float | None = None

    def come(self, arrival: Arrival) -> None:
        self.until(self.now + arrival.pause)
        self.lengths[self.add(arrival.plan, on_demand=self.on_demand)] = arrival.length
        self._place()

    def until(self, moment: float) -> None:
        while self.ends and min(self.ends.values()) <= moment:
            job_id = min(self.ends, key=self.ends.__getitem__)
            self.now = self.ends.pop(job_id)
            self.scheduler.ended(job_id, self.now, exit_code=0)
            self._place()
        self.now = moment

    def frees_waiting(self) -> bool:
        jobs = self.scheduler.jobs.values()
        return any(job.status is JobStatus.RUNNABLE and job.tags["plan"] == Plan.FREE for job in jobs)

    def _place(self) -> None:
        placed = [effect.job for effect in self.scheduler.tick(self.now) if isinstance(effect, Launch)]
        waiting = {
            Plan(job.tags["plan"]) for job in self.scheduler.jobs.values() if job.status is JobStatus.RUNNABLE
        }
        for job in placed:
            self.scheduler.started(job.id, self.now)
            self.ends[job.id] = self.now + self.lengths[job.id]
            self.started.append((Plan(job.tags["plan"]), waiting))
        served = any(job.tags["plan"] == Plan.FREE for job in placed) or any(
            self.scheduler.jobs[job_id].tags["plan"] == Plan.FREE for job_id in self.ends
        )
        if self._free_since is not None:
            self.longest_wait = max(self.longest_wait, self.now - self._free_since)
        if served or Plan.FREE not in waiting:
            self._free_since = None
        elif self._free_since is None:
            self._free_since = self.now


SHORTEST, LONGEST = 60, 1800
arrivals = st.builds(
    Arrival,
    pause=st.sampled_from([0, 0, 0, 30, 600, 7200]),
    plan=st.sampled_from(list(Plan)),
    length=st.sampled_from([SHORTEST, 300, LONGEST]),
)


@on_spot_and_on_demand
@given(day=st.lists(arrivals, min_size=1, max_size=80), machines=st.integers(1, 4))
def test_enterprise_never_waits_while_another_is_picked(day: list[Arrival], machines: int, on_demand: bool):
    """Whatever came before, however many wait, and however long their jobs are."""
    line = Day(machines, on_demand=on_demand)
    for arrival in day:
        line.come(arrival)
    line.until(line.now + len(day) * LONGEST)
    assert len(line.started) == len(day)
    for plan, waiting in line.started:
        assert plan is Plan.ENTERPRISE or Plan.ENTERPRISE not in waiting


QUARTER = HOUR // 4


@given(
    before=st.lists(arrivals, max_size=20),
    others=st.lists(st.sampled_from([Plan.STUDIO, Plan.PRO, Plan.STARTER]), min_size=1, max_size=3, unique=True),
    length=st.sampled_from([SHORTEST, 300, QUARTER]),
    machines=st.integers(1, 4),
)
def test_free_waits_for_an_hour_and_four_jobs_where_jobs_take_a_quarter_hour(
    before: list[Arrival], others: list[Plan], length: int, machines: int
):
    """Without Enterprise, whatever came before. What Free has used counts for an hour, and that of others too."""
    line = Day(machines)
    for arrival in before:
        plan = Plan.FREE if arrival.plan is Plan.ENTERPRISE else arrival.plan
        line.come(replace(arrival, plan=plan, length=min(arrival.length, QUARTER)))
    line.come(Arrival(0, Plan.FREE, length))
    began = line.now
    while line.frees_waiting() and line.now < began + 20 * HOUR:
        for plan in others * machines:  # they always have more waiting
            line.come(Arrival(0, plan, length))
        line.until(line.now + length)
    assert not line.frees_waiting()
    assert line.longest_wait <= HOUR + 4 * QUARTER


def test_where_jobs_take_half_an_hour_only_the_clock_helps_free():
    """On one machine the use of three plans is forgotten before their next turn, and the dearest wins a tie."""
    line = Day(1)
    line.come(Arrival(0, Plan.FREE, SHORTEST))
    line.come(Arrival(0, Plan.FREE, LONGEST))
    while line.longest_wait < IN_LINE.total_seconds():
        for plan in (Plan.STUDIO, Plan.PRO, Plan.STARTER):
            line.come(Arrival(0, plan, LONGEST))
        line.until(line.now + LONGEST)
    assert [plan for plan, _ in line.started].count(Plan.FREE) == 1
