"""The tables of docs/costs.md, as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from contract.prices import Prices
from costs.bills import bill
from costs.designs import Cost, Habits, all_in_image, always_on, built_per_job, split, synchronous
from costs.environments import ENVIRONMENTS, obstacles
from costs.inputs import DAYS, HOURS, Machine, Purchase, Workload
from costs.markdown import dollars, head, number, paragraph, row
from costs.ways import ways
from costs.winning import Design, bought_by_one_warm_machine, break_even, one_warm, winning

DESIGNS: tuple[tuple[str, Design, bool], ...] = (  # the last: may Spot take its machines away?
    ("synchronous server", synchronous, False),
    ("image built per job", built_per_job, True),
    ("always-on GPU behind a queue", always_on, True),
    ("everything in the AMI", all_in_image, True),
    ("**split life cycles**", split, True),
)
SEARCHED = 1000  # videos a day
SAID = {Purchase.SPOT: "Spot", Purchase.ON_DEMAND: "On-Demand"}
BATCH_DELAY_MINUTES = 20.0  # the shortest that AWS Batch can be told (minScaleDownDelayMinutes)
PAIRS = (  # what split life cycles run on, and what the machines that always run are bought as
    (Purchase.SPOT, Purchase.SPOT),
    (Purchase.ON_DEMAND, Purchase.ON_DEMAND),
    (Purchase.SPOT, Purchase.ON_DEMAND),
)


def report(prices: Prices, work: Workload, machine: Machine, habits: Habits, volumes: Sequence[float]) -> str:
    """Everything, for the volumes (videos a day) given."""
    parts = [
        *_assumptions(prices, work, machine, habits),
        *_environments(prices, work, machine, habits, volumes),
        *ways(prices, work, machine, habits, volumes),
        *_designs(prices, work, machine, habits, volumes),
        *_starting(prices, work, machine, habits, volumes[0]),
        *_winning(prices, work, machine, habits),
        "What a warm machine buys is time. US dollars a month, on Spot.",
        "",
        *bought_by_one_warm_machine(prices, work, machine, habits, volumes),
        "",
        *_fifty_minutes(prices, work, machine, habits),
    ]
    return "\n".join(parts)


def _assumptions(prices: Prices, work: Workload, machine: Machine, habits: Habits) -> Iterator[str]:
    spot, on_demand = (dollars(machine.hour(prices, purchase), 4) for purchase in Purchase)
    yield "## What was assumed"
    yield ""
    yield paragraph(
        f"- Prices of {prices.region}, the machine's written down on {prices.instance(machine.instance).date}.",
        f"A month has {DAYS} days.",
    )
    yield paragraph(
        f"- A video lasts {number(work.video_minutes)} minutes and keeps a GPU for {number(work.work_minutes)}.",
        f"Uploads and results are kept for {number(work.kept_days)} days.",
    )
    yield paragraph(
        f"- The machine is {machine.instance}, {on_demand} an hour On-Demand and {spot} on Spot, where",
        f"{machine.interrupted:.0%} of the jobs lose their machine once. It is ready {machine.start_minutes:.1f}",
        f"minutes after it was asked for, and leaves after {number(machine.idle_minutes)} minutes without work.",
    )
    yield paragraph(
        f"- Machines that always run are loaded up to {habits.utilisation:.0%}.",
        f"A synchronous server may turn away {habits.refused:.0%} of the uploads.",
    )
    yield paragraph(
        f"- An image built per job installs {number(habits.install_gb)} GB each time, which takes",
        f"{number(habits.install_minutes)} minutes with the start. A machine image takes",
        f"{number(habits.bake_minutes)} minutes to bake, and {habits.images_kept} are kept. The code changes",
        f"{number(habits.code_changes)} times a month, everything else {number(habits.runtime_changes)} times.",
    )
    yield ""


def _environments(
    prices: Prices, work: Workload, machine: Machine, habits: Habits, volumes: Sequence[float]
) -> Iterator[str]:
    yield "## A month of each environment"
    yield ""
    yield "US dollars, with split life cycles. A dot marks what costs the same without any video."
    yield ""
    columns = [
        (environment, replace(work, videos_per_day=volume)) for environment in ENVIRONMENTS for volume in volumes
    ]
    bills = {
        purchase: [bill(prices, environment, load, machine, habits, purchase) for environment, load in columns]
        for purchase in Purchase
    }
    against = {
        purchase: [obstacles(environment, load, machine, purchase) for environment, load in columns]
        for purchase in Purchase
    }
    totals = {
        purchase: [sum(line.dollars for line in lines) for lines in bills[purchase]] for purchase in Purchase
    }

    def carried(purchase: Purchase) -> list[str]:
        amounts = zip(totals[purchase], against[purchase], strict=True)
        return ["not carried" if faults else dollars(amount) for amount, faults in amounts]

    heads = [f"{environment.name}, {number(load.videos_per_day)} a day" for environment, load in columns]
    yield from head(["GPU on Spot", *heads])
    for lines in zip(*bills[Purchase.SPOT], strict=True):
        mark = " ·" if lines[0].fixed else ""
        cells = zip(lines, against[Purchase.SPOT], strict=True)
        shown = ("-" if faults and not line.fixed else dollars(line.dollars) for line, faults in cells)
        yield row([lines[0].what + mark, *shown])
    yield row(["**the month**", *(f"**{amount}**" for amount in carried(Purchase.SPOT))])
    fixed = (sum(line.dollars for line in lines if line.fixed) for lines in bills[Purchase.SPOT])
    yield row(["of it without any video", *map(dollars, fixed)])
    yield row(["the month, GPU On-Demand", *carried(Purchase.ON_DEMAND)])
    yield ""
    for purchase in Purchase:
        for (environment, load), faults, amount in zip(columns, against[purchase], totals[purchase], strict=True):
            if faults:
                yield paragraph(
                    f"- {environment.name} does not carry {number(load.videos_per_day)} videos a day on",
                    f"{SAID[purchase]} machines: {'; '.join(faults)}.",
                    f"With more, the month would be {dollars(amount)}.",
                )
    yield ""


def _designs(
    prices: Prices, work: Workload, machine: Machine, habits: Habits, volumes: Sequence[float]
) -> Iterator[str]:
    yield "## The designs"
    yield ""
    yield "US dollars a month for GPU machines, their volumes and their images. The environment comes on top."
    yield ""
    for volume in volumes:
        load = replace(work, videos_per_day=volume)
        yield from head(
            [
                f"{number(volume)} videos a day",
                "hours",
                "Spot",
                "On-Demand",
                "a video waits",
                "a code change takes",
            ]
        )
        for name, design, on_spot in DESIGNS:
            cost = design(prices, load, machine, habits, Purchase.ON_DEMAND)
            spot = dollars(design(prices, load, machine, habits, Purchase.SPOT).total) if on_spot else "-"
            yield row([name, f"{cost.machine_hours:,.0f}", spot, dollars(cost.total), _wait(cost), _change(cost)])
        yield ""


def _starting(prices: Prices, work: Workload, machine: Machine, habits: Habits, volume: float) -> Iterator[str]:
    ways = {
        "at the volume's own pace": replace(machine, initialization_mibps=None),
        "initialization at 100 MiB/s": replace(machine, initialization_mibps=100),
        "initialization at 300 MiB/s": replace(machine, initialization_mibps=300),
    }
    load = replace(work, videos_per_day=volume)
    yield "## Starting"
    yield ""
    yield paragraph(
        f"How a new machine reads its volume, with {number(volume)} videos a day: the",
        f"{number(machine.read_gib)} GiB that a job touches at {number(machine.slow_mibps)} MiB/s, or the",
        f"{number(machine.image_gib)} GiB of the snapshot at the rate that is paid for.",
    )
    yield ""
    yield from head(["first read", "ready after", "paid for each start", "month on Spot", "month On-Demand"])
    for name, way in ways.items():
        costs = [split(prices, load, way, habits, purchase).total for purchase in Purchase]
        start = dollars(way.initialization(prices), 4)
        yield row([name, f"{way.start_minutes:.1f} min", start, *map(dollars, costs)])
    restored = replace(machine, initialization_mibps=None, read_gib=0)
    extra = HOURS * prices.of("ebs_fast_restore_hour")
    costs = [split(prices, load, restored, habits, purchase).total + extra for purchase in Purchase]
    yield row(["fast snapshot restore, one zone", f"{restored.start_minutes:.1f} min", "0", *map(dollars, costs)])
    yield ""


def _winning(prices: Prices, work: Workload, machine: Machine, habits: Habits) -> Iterator[str]:
    yield "## Where machines that always run win"
    yield ""
    first = {
        purchase: break_even(prices, work, machine, habits, purchase, up_to=SEARCHED) for purchase in Purchase
    }
    yield paragraph(
        f"Videos a day, searched up to {SEARCHED:,}, at which a month of them costs less than one of split life",
        f"cycles; at an idle delay of {number(machine.idle_minutes)} minutes that begins with {_first(first)}.",
        "Between two ranges, one machine more has to run and has little to do.",
    )
    yield ""
    yield from head(
        ["split on", "always running on", "idle delay", "always-on behind a queue", "one warm machine"]
    )
    for idle in sorted({machine.idle_minutes, BATCH_DELAY_MINUTES}):
        way = replace(machine, idle_minutes=idle)
        for ours, theirs in PAIRS:
            cells = (
                _ranges(winning(design, prices, work, way, habits, ours=ours, theirs=theirs, up_to=SEARCHED))
                for design in (always_on, one_warm)
            )
            yield row([SAID[ours], SAID[theirs], f"{number(idle)} min", *cells])
    yield ""


def _fifty_minutes(prices: Prices, work: Workload, machine: Machine, habits: Habits) -> Iterator[str]:
    """The case that is often told: five videos a day against a machine that never stops."""
    case = replace(work, videos_per_day=5, video_minutes=10, speed=1)
    hours = case.videos * case.work_minutes / 60
    yield "## Fifty GPU minutes a day"
    yield ""
    yield f"Five videos a day, ten GPU minutes each, on {machine.instance}, in US dollars a month."
    yield ""
    yield from head(["what is counted", "hours", "Spot", "On-Demand"])
    prices_of = [machine.hour(prices, purchase) for purchase in Purchase]
    yield row(
        ["a machine that never stops, without its volume", str(HOURS), *(dollars(HOURS * p) for p in prices_of)]
    )
    yield row(["the GPU minutes alone", number(hours), *(dollars(hours * p) for p in prices_of)])
    for speed in (1, 5, 10):
        faster = replace(case, speed=speed)
        costs = [split(prices, faster, machine, habits, purchase) for purchase in Purchase]
        what = "with starts, idle delay, volumes, images"
        if speed > 1:
            what += f", analysed at {speed} times the video's pace"
        yield row([what, f"{costs[1].machine_hours:.1f}", *(dollars(cost.total) for cost in costs)])


def _wait(cost: Cost) -> str:
    return f"{cost.wait_minutes:,.1f} min" if cost.wait_minutes else "never, or is refused"


def _change(cost: Cost) -> str:
    return f"{number(cost.change_minutes)} min" if cost.change_minutes else "nothing"


def _first(break_evens: Mapping[Purchase, int | None]) -> str:
    return " and ".join(
        f"{'no number' if videos is None else videos} on {SAID[purchase]}"
        for purchase, videos in break_evens.items()
    )


def _ranges(ranges: list[tuple[int, int]]) -> str:
    if not ranges:
        return "nowhere"
    return ", ".join(f"from {first}" if last == SEARCHED else f"{first}-{last}" for first, last in ranges)
