"""The month's cost of the GPU machines, by the design that runs them.

Machines that come and go are told by expected values. Videos arrive as a Poisson process of rate r; a machine that
has done its work waits the idle delay d for the next one. That comes in time with probability 1 - exp(-r d), and
until then, or until the delay is over, (1 - exp(-r d)) / r pass on average. So one video costs

    work + exp(-r d) * start + (1 - exp(-r d)) / r

of a machine. That another machine becomes free while one starts is left out: busy fleets start too often here.
"""

import math
from dataclasses import dataclass, replace

from contract.prices import Prices
from costs.inputs import MINUTES, Machine, Purchase, Workload
from costs.queueing import mean_wait, refused, servers_for


@dataclass(frozen=True, kw_only=True, slots=True)
class Habits:
    """What the designs differ in besides their machines."""

    code_changes: float = 20  # in a month
    runtime_changes: float = 2 / 3  # in a month: a new machine image every six weeks
    bake_minutes: float = 60  # a machine image, from the change to its use
    images_kept: int = 3
    install_gb: float = 18  # what an image that is built per job installs
    install_minutes: float = 40  # how long that takes, starting the machine included
    push_minutes: float = 1  # a thin container, from the change to its use
    refused: float = 0.05  # uploads that may find a synchronous server busy
    utilisation: float = 0.8  # up to which machines that always run are loaded


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """One month. `wait_minutes` pass, on average, before work on a video begins; `change_minutes`, before new code
    works.
    """

    machine_hours: float
    machines: float  # US dollars, volumes and their first read included
    images: float  # US dollars for baking and keeping machine images
    wait_minutes: float
    change_minutes: float

    @property
    def total(self) -> float:
        return self.machines + self.images


def split(prices: Prices, work: Workload, machine: Machine, habits: Habits, purchase: Purchase) -> Cost:
    """Machines come when there is work; code in a thin container, all else on the machine image."""
    return warm_pool(prices, work, machine, habits, purchase, warm=0)


def warm_pool(
    prices: Prices, work: Workload, machine: Machine, habits: Habits, purchase: Purchase, *, warm: int
) -> Cost:
    """`split`, with `warm` machines that never leave; videos that find them all busy (Erlang B) start others."""
    coming = work.per_minute * refused(warm, work.per_minute * work.work_minutes)
    starts = coming * MINUTES * math.exp(-coming * machine.idle_minutes) + _interruptions(work, machine, purchase)
    minutes = (
        warm * MINUTES
        + coming * MINUTES * work.work_minutes
        + -math.expm1(-coming * machine.idle_minutes) * MINUTES
        + starts * machine.start_minutes
    )
    return Cost(
        machine_hours=minutes / 60,
        machines=minutes * machine.minute(prices, purchase) + starts * machine.initialization(prices),
        images=_images(prices, machine, habits, 0),
        wait_minutes=starts / work.videos * machine.start_minutes,
        change_minutes=habits.push_minutes,
    )


def all_in_image(prices: Prices, work: Workload, machine: Machine, habits: Habits, purchase: Purchase) -> Cost:
    """The machines of `split`, with the code on the machine image too, which every code change bakes anew."""
    return replace(
        split(prices, work, machine, habits, purchase),
        images=_images(prices, machine, habits, habits.code_changes),
        change_minutes=habits.bake_minutes,
    )


def built_per_job(prices: Prices, work: Workload, machine: Machine, habits: Habits, purchase: Purchase) -> Cost:
    """A bare machine for each video, on which everything is installed first and thrown away afterwards."""
    starts = work.videos + _interruptions(work, machine, purchase)
    minutes = starts * habits.install_minutes + work.videos * work.work_minutes
    return Cost(
        machine_hours=minutes / 60,
        machines=minutes * machine.minute(prices, purchase),
        images=0,
        wait_minutes=starts / work.videos * habits.install_minutes,
        change_minutes=0,
    )


def always_on(prices: Prices, work: Workload, machine: Machine, habits: Habits, purchase: Purchase) -> Cost:
    """As many machines as the load needs, day and night, behind a queue."""
    load = work.per_minute * work.work_minutes
    count = max(1, math.ceil(load / habits.utilisation))
    wait = mean_wait(count, load, work.work_minutes)
    return _standing(prices, work, machine, habits, purchase, count=count, wait_minutes=wait)


def synchronous(prices: Prices, work: Workload, machine: Machine, habits: Habits, purchase: Purchase) -> Cost:
    """A server that analyses in the request: no queue, so machines for the moments in which uploads coincide."""
    count = servers_for(work.per_minute * work.work_minutes, habits.refused)
    return _standing(prices, work, machine, habits, purchase, count=count, wait_minutes=0)


def _standing(
    prices: Prices,
    work: Workload,
    machine: Machine,
    habits: Habits,
    purchase: Purchase,
    *,
    count: int,
    wait_minutes: float,
) -> Cost:
    starts = _interruptions(work, machine, purchase)
    minutes = count * MINUTES + starts * machine.start_minutes
    return Cost(
        machine_hours=minutes / 60,
        machines=minutes * machine.minute(prices, purchase) + starts * machine.initialization(prices),
        images=0,
        wait_minutes=wait_minutes,
        change_minutes=habits.push_minutes,
    )


def _interruptions(work: Workload, machine: Machine, purchase: Purchase) -> float:
    """Starts in a month because Spot took a machine away; the chunks that are stored are not done again."""
    return work.videos * machine.interrupted if purchase is Purchase.SPOT else 0.0


def _images(prices: Prices, machine: Machine, habits: Habits, code_bakes: float) -> float:
    """Baking, on an On-Demand machine of the fleet's kind, and keeping the snapshots."""
    bakes = habits.runtime_changes + code_bakes
    kept = habits.images_kept * machine.image_gib * prices.of("ebs_snapshot_gib_month")
    return bakes * habits.bake_minutes * machine.minute(prices, Purchase.ON_DEMAND) + kept
