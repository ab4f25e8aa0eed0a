"""What passes between an environment and the services of AWS, and the ways that it can take."""

from dataclasses import dataclass, replace

from contract.prices import Prices
from costs.environments import Environment
from costs.inputs import HOURS, Workload

# Assumptions. Videos, results and the layers of images do not count here: they pass to and from S3.
AWS_GB_FIXED = 2.0  # in a month: logs, and as much for questions to queues
AWS_MB_PER_VIDEO = 1.0  # logs, messages, credentials, what the agent of a machine says
WEBHOOK_MB_PER_VIDEO = 0.05
RESULT_MB_PER_VIDEO = 5.0  # thumbnails, poster, and what is sent to browsers


@dataclass(frozen=True, kw_only=True, slots=True)
class Traffic:
    """GB in a month."""

    to_aws: float
    to_users: float  # webhooks
    to_s3: float

    @classmethod
    def of(cls, work: Workload) -> "Traffic":
        megabytes = work.video_minutes * work.megabytes_per_minute + RESULT_MB_PER_VIDEO
        return cls(
            to_aws=AWS_GB_FIXED + work.videos * AWS_MB_PER_VIDEO / 1000,
            to_users=work.videos * WEBHOOK_MB_PER_VIDEO / 1000,
            to_s3=work.videos * megabytes / 1000,
        )


def gateway(prices: Prices) -> float:
    """US dollars a month for a NAT gateway that carries nothing, with its address."""
    return HOURS * (prices.of("nat_gateway_hour") + prices.of("public_ipv4_hour"))


def endpoints(prices: Prices, count: int) -> float:
    """US dollars a month for interface endpoints that carry nothing, each counted once for every zone."""
    return count * HOURS * prices.of("endpoint_hour")


def carried(prices: Prices, environment: Environment, work: Workload) -> float:
    """US dollars a month for what passes through the environment's endpoints and gateways."""
    traffic = Traffic.of(work)
    if environment.interface_endpoints:
        to_aws = traffic.to_aws * prices.of("endpoint_gb")
    elif environment.nat_gateways:
        to_aws = traffic.to_aws * prices.of("nat_gateway_gb")
    else:
        to_aws = 0.0
    to_users = traffic.to_users * prices.of("nat_gateway_gb") if environment.nat_gateways else 0.0
    return to_aws + to_users


def carried_without_videos(prices: Prices, environment: Environment, work: Workload) -> float:
    return carried(prices, environment, replace(work, videos_per_day=0))


def gb_from_which_endpoints_win(prices: Prices, count: int) -> float:
    """In a month, to AWS's services: above it, `count` endpoints cost less than one NAT gateway."""
    saved = prices.of("nat_gateway_gb") - prices.of("endpoint_gb")
    return (endpoints(prices, count) - gateway(prices)) / saved
