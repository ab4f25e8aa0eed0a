"""The bills tell everything that terraform/ declares, and no price lies unused."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.prices import Prices, prices
from costs.bills import bill
from costs.designs import Habits
from costs.environments import ENVIRONMENTS
from costs.inputs import Machine, Purchase, Workload
from costs.resources import BILLED, FREE
from costs.tables import report
from costs.traffic import endpoints, gateway, gb_from_which_endpoints_win

TERRAFORM = Path(__file__).parents[2] / "terraform"
DECLARED = {
    kind
    for file in TERRAFORM.rglob("*.tf")
    for kind in re.findall(r'^resource "(\w+)"', file.read_text(encoding="utf-8"), re.MULTILINE)
}
PRICES, MACHINE, HABITS = prices(), Machine(), Habits()
MINIMAL, PRODUCTION = ENVIRONMENTS


def lines(environment=PRODUCTION, **work: float) -> dict[str, float]:
    told = bill(PRICES, environment, Workload(**work), MACHINE, HABITS, Purchase.SPOT)
    return {line.what: line.dollars for line in told}


def test_each_type_of_resource_is_billed_or_said_to_be_free():
    assert len(DECLARED) > 50
    assert not BILLED.keys() & FREE.keys()
    assert BILLED.keys() | FREE.keys() == DECLARED
    assert all(reason.strip() for reason in FREE.values())


def test_each_line_of_a_bill_is_of_some_resource_and_each_resource_is_in_a_line():
    assert {line for named in BILLED.values() for line in named} == lines().keys()


def test_no_price_lies_unused():
    asked = set()

    class Asked(Prices):
        def of(self, service: str) -> float:
            asked.add(service)
            return super().of(service)

    known = Asked(region=PRICES.region, note=PRICES.note, instances=PRICES.instances, services=PRICES.services)
    report(known, Workload(), MACHINE, HABITS, (5.0,))
    assert asked == PRICES.services.keys()


def test_metrics_of_containers_are_paid_for_where_they_are_asked_for():
    without = replace(PRODUCTION, container_insights=False)
    assert lines(without)["Container Insights"] == lines(MINIMAL)["Container Insights"] == 0
    assert lines()["Container Insights"] > 63 * PRICES.of("metric_month")


def test_what_is_deleted_and_kept_as_an_old_version_is_paid_for_as_long():
    short, long = (replace(PRODUCTION, old_version_days=days) for days in (0, 30))
    assert lines(long, kept_days=30)["videos in S3"] == pytest.approx(
        2 * lines(short, kept_days=30)["videos in S3"]
    )


def test_machines_outside_the_network_pay_for_their_addresses():
    inside = replace(MINIMAL, machines_have_addresses=False)
    assert lines(MINIMAL)["addresses of GPU machines"] > lines(inside)["addresses of GPU machines"] == 0


@given(days=st.integers(0, 34), videos=st.floats(1, 10_000))
def test_backups_cost_more_the_longer_they_are_kept_and_nothing_where_they_fit_the_storage(days, videos):
    shorter, longer = (replace(PRODUCTION, backup_days=kept) for kept in (days, days + 1))
    costs = [lines(one, videos_per_day=videos)["backups of the database"] for one in (shorter, longer)]
    assert costs[0] <= costs[1]
    assert lines(replace(PRODUCTION, backup_days=0), videos_per_day=videos)["backups of the database"] == 0
    assert lines(replace(longer, database_gib=1e9), videos_per_day=videos)["backups of the database"] == 0


@pytest.mark.parametrize(
    ("others", "price", "gb"),
    [
        pytest.param({"nat_gateways": 0}, "endpoint_gb", 30, id="through endpoints, to AWS"),
        pytest.param({"interface_endpoints": 0}, "nat_gateway_gb", 31.5, id="through a gateway, webhooks as well"),
        pytest.param({"nat_gateways": 0, "interface_endpoints": 0}, "endpoint_gb", 0, id="through neither"),
    ],
)
def test_what_passes_is_paid_for_by_the_gigabyte(others: dict[str, int], price: str, gb: float):
    neither = replace(PRODUCTION, nat_gateways=0, interface_endpoints=0)
    passed = [
        lines(one, videos_per_day=1000)["through endpoints, gateways, zones"]
        for one in (replace(PRODUCTION, **others), neither)
    ]
    assert passed[0] - passed[1] == pytest.approx(gb * PRICES.of(price))


@pytest.mark.parametrize("count", [9, 18, 27])
def test_endpoints_and_a_gateway_cost_the_same_where_the_page_says_so(count: int):
    gb = gb_from_which_endpoints_win(PRICES, count)
    by_endpoints = endpoints(PRICES, count) + gb * PRICES.of("endpoint_gb")
    assert by_endpoints == pytest.approx(gateway(PRICES) + gb * PRICES.of("nat_gateway_gb"))
