"""From which number of videos a day machines that always run are the cheaper ones. Computed, never asserted."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from contract.prices import Prices
from costs.designs import Cost, Habits, always_on, split, warm_pool
from costs.inputs import Machine, Purchase, Workload
from costs.markdown import dollars, head, number, row

Design = Callable[[Prices, Workload, Machine, Habits, Purchase], Cost]

one_warm: Design = partial(warm_pool, warm=1)


def winning(
    design: Design,
    prices: Prices,
    work: Workload,
    machine: Machine,
    habits: Habits,
    *,
    ours: Purchase,
    theirs: Purchase,
    up_to: int,
) -> list[tuple[int, int]]:
    """Ranges of videos a day, both ends included, in which `design` costs less than split life cycles.

    There may be several: with each further machine that has to stand ready, a design falls behind again.
    """
    found: list[tuple[int, int]] = []
    for videos in range(1, up_to + 1):
        load = replace(work, videos_per_day=videos)
        standing = design(prices, load, machine, habits, theirs).total
        if standing >= split(prices, load, machine, habits, ours).total:
            continue
        if found and found[-1][1] == videos - 1:
            found[-1] = (found[-1][0], videos)
        else:
            found.append((videos, videos))
    return found


def break_even(
    prices: Prices, work: Workload, machine: Machine, habits: Habits, purchase: Purchase, *, up_to: int
) -> int | None:
    """The smallest number of videos a day at which always-on machines cost less; None if there is none `up_to`."""
    ranges = winning(always_on, prices, work, machine, habits, ours=purchase, theirs=purchase, up_to=up_to)
    return ranges[0][0] if ranges else None


def bought_by_one_warm_machine(
    prices: Prices, work: Workload, machine: Machine, habits: Habits, volumes: Sequence[float]
) -> Iterator[str]:
    """What it costs more than machines that all leave, and what it saves of the wait; on Spot, as Markdown."""
    yield from head(["videos a day", "one warm machine costs more by", "a video waits", "and waits with it"])
    for volume in volumes:
        load = replace(work, videos_per_day=volume)
        cold, warm = (design(prices, load, machine, habits, Purchase.SPOT) for design in (split, one_warm))
        waits = (f"{cost.wait_minutes:,.2f} min" for cost in (cold, warm))
        yield row([number(volume), dollars(warm.total - cold.total), *waits])
