"""The ways by which the backend and jobs reach AWS's services, compared, as Markdown."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from contract.prices import Prices
from costs.designs import Habits, split
from costs.environments import ENVIRONMENTS
from costs.inputs import DAYS, HOURS, Machine, Purchase, Workload
from costs.markdown import dollars, head, number, paragraph, row
from costs.traffic import AWS_MB_PER_VIDEO, Traffic, endpoints, gateway, gb_from_which_endpoints_win


def ways(
    prices: Prices, work: Workload, machine: Machine, habits: Habits, volumes: Sequence[float]
) -> Iterator[str]:
    """With as many tasks as the cheapest environment has, and the endpoints of the one that has any."""
    tasks = ENVIRONMENTS[0].api.tasks + ENVIRONMENTS[0].worker.tasks
    (inside,) = (one for one in ENVIRONMENTS if one.interface_endpoints)
    count, zones = inside.interface_endpoints, inside.zones
    loads = [replace(work, videos_per_day=volume) for volume in volumes]
    passing = [Traffic.of(load) for load in loads]
    hours = [split(prices, load, machine, habits, Purchase.SPOT).machine_hours for load in loads]
    nat_gb, endpoint_gb, address = (
        prices.of(name) for name in ("nat_gateway_gb", "endpoint_gb", "public_ipv4_hour")
    )
    rows = {
        f"public addresses of {tasks} tasks and of every machine": [
            address * (tasks * HOURS + each) for each in hours
        ],
        "one NAT gateway": [gateway(prices) + nat_gb * each.to_aws for each in passing],
        f"{count // zones} endpoints in each of {zones} zones": [
            endpoints(prices, count) + endpoint_gb * each.to_aws for each in passing
        ],
        "one NAT gateway, for S3 as well": [
            gateway(prices) + nat_gb * (each.to_aws + each.to_s3) for each in passing
        ],
    }
    least = gb_from_which_endpoints_win(prices, count)
    videos = least * 1000 / AWS_MB_PER_VIDEO / DAYS
    other_gateways = gateway(prices) * (zones - 1) / (nat_gb - endpoint_gb)
    yield "## Ways to AWS's services"
    yield ""
    yield paragraph(
        "US dollars a month. S3 has an endpoint of its own kind, which is free, in every environment: what it",
        "saves shows in the last row. `minimal` takes the first way. `production` pays for endpoints so that jobs",
        "have no route to the internet, and for a gateway, since webhooks of users leave by it.",
    )
    yield ""
    yield from head(["way", *(f"{number(volume)} videos a day" for volume in volumes)])
    for way, amounts in rows.items():
        yield row([way, *map(dollars, amounts)])
    yield ""
    yield paragraph(
        f"Endpoints cost less than one NAT gateway from {least:,.0f} GB a month on, without S3's; at",
        f"{number(AWS_MB_PER_VIDEO)} MB for each video that is {videos:,.0f} videos a day.",
        f"Against a gateway in each of the {zones} zones it is {max(0, least - other_gateways):,.0f} GB.",
    )
    yield ""
