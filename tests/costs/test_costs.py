"""What somebody who compares designs by docs/costs.md may rely on."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from contract.prices import prices
from costs.__main__ import MARKER, main
from costs.bills import bill
from costs.designs import Habits, all_in_image, always_on, built_per_job, split, synchronous, warm_pool
from costs.environments import BYTES_PER_DETECTION, ENVIRONMENTS, obstacles
from costs.inputs import HOURS, Machine, Purchase, Workload
from costs.queueing import mean_wait, refused, servers_for
from costs.winning import break_even, winning

PRICES, HABITS = prices(), Habits()
PAGE = Path(__file__).parents[2] / "docs" / "costs.md"
DESIGNS = (synchronous, built_per_job, always_on, all_in_image, split)

workloads = st.builds(
    Workload,
    videos_per_day=st.floats(0.1, 2000),
    video_minutes=st.floats(0.5, 120),
    speed=st.floats(0.5, 20),
)
machines = st.builds(
    Machine,
    instance=st.sampled_from(sorted(PRICES.instances)),
    spot_discount=st.none() | st.floats(0, 0.9),
    boot_seconds=st.floats(0, 600),
    read_gib=st.floats(0.1, 20),
    initialization_mibps=st.none() | st.floats(100, 300),
    idle_minutes=st.floats(0, 60),
    interrupted=st.floats(0, 0.5),
)
purchases = st.sampled_from(Purchase)


def test_the_page_tells_what_the_command_prints(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 0

    told = PAGE.read_text(encoding="utf-8").split(MARKER + "\n")[1]
    assert told == capsys.readouterr().out, "run `make costs`"


def test_the_published_case_is_reproduced():
    """Five videos a day, fifty GPU minutes: $724 a month for a machine that never stops."""
    work, machine = Workload(videos_per_day=5, video_minutes=10, speed=1), Machine(instance="g5.xlarge")

    assert machine.hour(PRICES, Purchase.ON_DEMAND) * HOURS == pytest.approx(724.32)
    always = always_on(PRICES, work, machine, HABITS, Purchase.ON_DEMAND)
    assert always.machine_hours == HOURS
    assert 724.32 < always.total < 735  # with its volume
    assert work.videos * work.work_minutes == 50 * 30
    assert split(PRICES, work, machine, HABITS, Purchase.ON_DEMAND).total < always.total / 10
    assert split(PRICES, work, machine, HABITS, Purchase.SPOT).total < always.total / 20


def dollars_of_one(work: Workload, machine: Machine, purchase: Purchase) -> tuple[float, float]:
    """What the work on a video and what a start costs."""
    minute = machine.minute(PRICES, purchase)
    return work.work_minutes * minute, machine.start_minutes * minute + machine.initialization(PRICES)


@given(work=workloads, machine=machines, purchase=purchases, more=st.floats(1, 3))
def test_more_videos_never_cost_less(work: Workload, machine: Machine, purchase: Purchase, more: float):
    """Where a start does not dwarf the work: else videos that keep a machine from leaving save its starts.

    The cost of v videos has the slope work + exp(-x) (start (1 - x) + idle), x = r d, which is least at
    x = 2 + idle / start and there no less than work - start / e².
    """
    one, start = dollars_of_one(work, machine, purchase)
    assume(one >= start / math.e**2)
    busier = replace(work, videos_per_day=work.videos_per_day * more)

    for design in DESIGNS:
        before = design(PRICES, work, machine, HABITS, purchase).total
        assert design(PRICES, busier, machine, HABITS, purchase).total >= before * (1 - 1e-9)


@given(work=workloads, machine=machines, purchase=purchases)
@example(work=Workload(), machine=Machine(), purchase=Purchase.SPOT)
def test_below_its_break_even_an_always_on_machine_is_never_the_cheaper_one(work, machine, purchase):
    videos = break_even(PRICES, work, machine, HABITS, purchase, up_to=100)

    for number in range(1, videos or 101):
        load = replace(work, videos_per_day=number)
        ours = split(PRICES, load, machine, HABITS, purchase).total
        assert ours <= always_on(PRICES, load, machine, HABITS, purchase).total
    if videos is not None:
        load = replace(work, videos_per_day=videos)
        ours = split(PRICES, load, machine, HABITS, purchase).total
        assert always_on(PRICES, load, machine, HABITS, purchase).total < ours


def test_a_range_in_which_always_on_wins_has_no_hole_and_nothing_wins_outside():
    search = (PRICES, Workload(), Machine(), HABITS)
    ranges = winning(always_on, *search, ours=Purchase.SPOT, theirs=Purchase.SPOT, up_to=300)

    inside = {number for first, last in ranges for number in range(first, last + 1)}
    for number in range(1, 301):
        load = replace(Workload(), videos_per_day=number)
        always, ours = (
            design(PRICES, load, Machine(), HABITS, Purchase.SPOT).total for design in (always_on, split)
        )
        assert (always < ours) == (number in inside)


@given(work=workloads, machine=machines, purchase=purchases)
def test_code_in_the_machine_image_costs_its_bakes_more_and_nothing_else(work, machine, purchase):
    ours, baked = (design(PRICES, work, machine, HABITS, purchase) for design in (split, all_in_image))

    minutes = HABITS.code_changes * HABITS.bake_minutes
    assert baked.machines == ours.machines
    assert baked.total - ours.total == pytest.approx(minutes * machine.minute(PRICES, Purchase.ON_DEMAND))
    assert baked.change_minutes == 60


@given(work=workloads, machine=machines, purchase=purchases)
def test_a_machine_is_paid_for_its_work_at_least_and_starts_no_more_often_than_videos_come(
    work, machine, purchase
):
    cost = split(PRICES, work, machine, HABITS, purchase)

    lost = machine.interrupted if purchase is Purchase.SPOT else 0
    each = work.work_minutes + machine.idle_minutes + (1 + lost) * machine.start_minutes
    assert work.videos * work.work_minutes <= cost.machine_hours * 60 * (1 + 1e-9)
    assert cost.machine_hours * 60 <= work.videos * each * (1 + 1e-9)


@given(work=workloads, machine=machines, purchase=purchases, warm=st.integers(0, 5))
def test_a_warm_machine_shortens_the_wait(work, machine, purchase, warm):
    fewer, more = (
        warm_pool(PRICES, work, replace(machine, idle_minutes=0), HABITS, purchase, warm=number)
        for number in (warm, warm + 1)
    )
    assert more.wait_minutes <= fewer.wait_minutes


@given(work=workloads, machine=machines)
def test_spot_costs_less_than_on_demand_where_nothing_is_interrupted(work, machine):
    calm = replace(machine, interrupted=0, spot_discount=0.5)

    for design in (always_on, built_per_job, split):
        costs = [design(PRICES, work, calm, HABITS, purchase).total for purchase in Purchase]
        assert costs[0] < costs[1]


@given(work=workloads, machine=machines, purchase=purchases, environment=st.sampled_from(ENVIRONMENTS))
def test_what_is_fixed_stays_and_what_videos_add_is_zero_without_them(work, machine, purchase, environment):
    lines = bill(PRICES, environment, work, machine, HABITS, purchase)
    few = bill(PRICES, environment, replace(work, videos_per_day=1e-9), machine, HABITS, purchase)

    for line, without in zip(lines, few, strict=True):
        assert line.dollars >= 0
        assert (line.dollars == without.dollars) if line.fixed else (without.dollars < 1e-6)


def test_the_printed_lines_add_up_to_the_printed_sum(capsys: pytest.CaptureFixture[str]):
    main(["--videos", "7", "250"])

    table = capsys.readouterr().out.split("## A month of each environment")[1].split("## The designs")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines() if row.startswith("|") and "---" not in row]
    sums = next(row for row in rows if row[0] == "**the month**")
    lines = rows[1 : rows.index(sums)]
    assert len(lines) == 17
    for column in range(1, 5):
        added = sum(float(row[column].replace(",", "")) for row in lines)
        assert float(sums[column].strip("*").replace(",", "")) == pytest.approx(added, abs=0.06)


def test_a_load_beyond_an_environments_limits_is_told_and_not_billed(capsys: pytest.CaptureFixture[str]):
    """576 videos of ten minutes a day keep the four machines of `minimal` busy, interruptions apart."""
    main(["--videos", "560", "577", "--kept-days", "5"])

    table = capsys.readouterr().out.split("## A month of each environment")[1].split("## The designs")[0]
    rows = {cells[0]: cells[1:] for cells in (line.strip("| ").split(" | ") for line in table.splitlines())}
    assert [cell == "**not carried**" for cell in rows["**the month**"]] == [False, True, False, False]
    assert [cell == "-" for cell in rows["GPU machines"]] == [False, True, False, False]
    assert rows["the month, GPU On-Demand"][:2] == ["not carried", "not carried"]  # eight vCPUs, two machines
    told = " ".join(table.split())
    assert "minimal does not carry 577 videos a day on Spot machines: they keep" in told
    assert "and `spot_max_vcpus = 16` lets 4 run." in told
    assert "minimal does not carry 560 videos a day on Spot" not in told


@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda environment: environment.name)
@given(work=workloads, purchase=purchases)
def test_what_is_carried_fits_the_machines_and_the_storage(environment, work, purchase):
    fits = not obstacles(environment, work, Machine(interrupted=0), purchase)
    limit = environment.spot_max_vcpus if purchase is Purchase.SPOT else environment.on_demand_max_vcpus
    minutes = limit // 4 * 60 * HOURS
    gib = work.videos * work.kept_days / 30 * work.video_minutes * 60 * 30 * 3 * BYTES_PER_DETECTION / 2**30
    assume(abs(gib / environment.database_max_gib - 1) > 1e-9)
    assert fits == (work.videos * work.work_minutes < minutes and gib < environment.database_max_gib)


@pytest.mark.parametrize(("instance", "vcpus"), [("g4dn.xlarge", 4), ("g6.2xlarge", 8)])
def test_a_machines_vcpus_follow_from_its_name(instance: str, vcpus: int):
    assert Machine(instance=instance).vcpus == vcpus


def test_what_a_warm_machine_costs_and_saves_is_told(capsys: pytest.CaptureFixture[str]):
    main(["--videos", "5", "50"])

    told = capsys.readouterr().out.split("What a warm machine buys is time")[1].split("##")[0]
    rows = [line.strip("| ").split(" | ") for line in told.splitlines() if line.startswith("| ")][1:]
    assert [row[0] for row in rows] == ["5", "50"]
    for _, more, before, after in rows:
        assert float(more) > 0
        assert float(after.removesuffix(" min")) < float(before.removesuffix(" min"))


def test_own_numbers_change_what_is_told(capsys: pytest.CaptureFixture[str]):
    main(["--videos", "40", "--minutes", "25", "--speed", "5", "--idle-minutes", "20"])
    own = " ".join(capsys.readouterr().out.split())
    main(["--instance", "g4dn.xlarge", "--spot-discount", "0.5"])

    other_machine = " ".join(capsys.readouterr().out.split())
    assert "A video lasts 25 minutes and keeps a GPU for 5." in own
    assert "leaves after 20 minutes" in own
    assert "| 40 videos a day |" in own
    assert "g4dn.xlarge, 0.526 an hour On-Demand and 0.263 on Spot" in other_machine


def test_the_tables_are_put_below_the_words_of_the_page(tmp_path: Path):
    page = tmp_path / "costs.md"
    page.write_text("Words.\n\n<!-- python -m costs -->\nold\n", encoding="utf-8")

    assert main(["--page", str(page)]) == 0

    head, _, told = page.read_text(encoding="utf-8").partition("<!-- python -m costs -->\n")
    assert head == "Words.\n\n"
    assert told.startswith("## What was assumed\n")
    assert "old" not in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--videos 0", "0 is not above 0"),
        ("--spot-discount 1", "1 is not below 1"),
        ("--idle-minutes -1", "-1 is below 0"),
        ("--instance p9.large", "invalid choice: 'p9.large'"),
    ],
)
def test_an_impossible_number_is_refused_in_a_sentence(capsys: pytest.CaptureFixture[str], arguments, sentence):
    with pytest.raises(SystemExit) as stop:
        main(arguments.split())

    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err


@given(load=st.floats(0.01, 50), servers=st.integers(1, 80))
def test_erlang_b_is_the_share_of_a_birth_and_death_process(load: float, servers: int):
    weights = [math.exp(n * math.log(load) - math.lgamma(n + 1)) for n in range(servers + 1)]
    assert refused(servers, load) == pytest.approx(weights[-1] / sum(weights), rel=1e-6, abs=1e-300)


@given(load=st.floats(0.01, 50), at_most=st.floats(0.001, 0.5))
def test_no_fewer_servers_would_do(load: float, at_most: float):
    servers = servers_for(load, at_most)
    assert refused(servers, load) <= at_most
    assert servers == 1 or refused(servers - 1, load) > at_most


@given(load=st.floats(0.01, 0.99))
def test_the_wait_before_one_server_is_that_of_pollaczek_and_khinchine(load: float):
    assert mean_wait(1, load, 10) == pytest.approx(10 * load / (2 * (1 - load)))


def test_a_queue_that_gets_too_much_has_no_mean_wait():
    with pytest.raises(ValueError, match="without end"):
        mean_wait(2, 2, 10)
