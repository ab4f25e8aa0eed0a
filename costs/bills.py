"""What an environment costs in a month, line by line: whatever runs, and what each video adds."""

from dataclasses import dataclass, replace

from contract.prices import Prices
from costs.designs import Habits, split
from costs.environments import GIB, Environment, results_gib
from costs.inputs import DAYS, HOURS, Machine, Purchase, Workload
from costs.traffic import RESULT_MB_PER_VIDEO, carried, carried_without_videos, endpoints

# Assumptions about what passes through, small beside the rest.
IMAGES_GB = 1.0  # in the registry
QUEUES, POLL_SECONDS = 3, 20  # that the worker and Lambda ask, and how long one question lasts
LAMBDA_SECONDS, LAMBDA_GB = 1.0, 0.25  # for one video
MESSAGES_PER_VIDEO = 20  # requests to SQS
S3_PUTS, S3_GETS = 40, 60  # for one video: parts of the upload, results, and their readers
LOG_MB_PER_VIDEO, LOG_GB_FIXED = 0.1, 1.0
BETWEEN_ZONES = 0.5  # share of the results that a job writes into a database in another zone

# Container Insights: metrics of the cluster itself, of each service and of each task definition, as named in
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Container-Insights-metrics-ECS.html, and one event
# a minute for the cluster, each service, task and container.
CLUSTER_METRICS, SERVICE_METRICS, FAMILY_METRICS = 13, 15, 10
EVENT_KB = 1.0
SERVICES = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """US dollars in a month; `fixed` if no video changes it."""

    what: str
    dollars: float
    fixed: bool


def bill(
    prices: Prices, environment: Environment, work: Workload, machine: Machine, habits: Habits, purchase: Purchase
) -> tuple[Line, ...]:
    """Each line is one row of the vendor's bill, roughly; their sum is the month."""
    fixed = _fixed(prices, environment, work)
    by_video = _by_video(prices, environment, work, machine, habits, purchase)
    return tuple(
        Line(what=what, dollars=dollars, fixed=what in fixed or what == "machine images")
        for what, dollars in (fixed | by_video).items()
    )


def _fixed(prices: Prices, environment: Environment, work: Workload) -> dict[str, float]:
    fargate = sum(
        service.tasks
        * (service.vcpus * prices.of("fargate_vcpu_hour") + service.gb * prices.of("fargate_gb_hour"))
        for service in (environment.api, environment.worker)
    )
    database = HOURS * prices.of(environment.database) + environment.database_gib * prices.of("rds_gp3_gib_month")
    watching = environment.alarm_metrics * prices.of("alarm_month")
    watching += environment.log_metrics * prices.of("metric_month")
    watching += environment.dashboards * prices.of("dashboard_month")
    polling = QUEUES * HOURS * 3600 / POLL_SECONDS * prices.of("sqs_request")
    return {
        "database": environment.database_zones * database,
        "API and worker (Fargate)": HOURS * fargate,
        "load balancer": HOURS * (prices.of("alb_hour") + prices.of("alb_lcu_hour")),
        "public addresses": environment.public_addresses * HOURS * prices.of("public_ipv4_hour"),
        "NAT gateways": environment.nat_gateways * HOURS * prices.of("nat_gateway_hour"),
        "endpoints": endpoints(prices, environment.interface_endpoints)
        + carried_without_videos(prices, environment, work),
        "alarms, dashboard, logs": watching + LOG_GB_FIXED * _log_gb(prices),
        "Container Insights": _insights(prices, environment),
        "secrets, images, asking queues": environment.secrets * prices.of("secret_month")
        + IMAGES_GB * prices.of("ecr_gb_month")
        + polling,
    }


def _by_video(
    prices: Prices, environment: Environment, work: Workload, machine: Machine, habits: Habits, purchase: Purchase
) -> dict[str, float]:
    if environment.idle_minutes is not None:
        machine = replace(machine, idle_minutes=environment.idle_minutes)
    gpu = split(prices, work, machine, habits, purchase)
    addresses = gpu.machine_hours * prices.of("public_ipv4_hour") if environment.machines_have_addresses else 0.0
    megabytes = work.video_minutes * work.megabytes_per_minute + RESULT_MB_PER_VIDEO
    kept = work.videos_per_day * (work.kept_days + environment.old_version_days)
    # What the database was given anyway costs nothing more.
    results = results_gib(work)
    more_gib = max(0.0, results - environment.database_gib)
    written = results / work.kept_days if work.kept_days else 0.0  # GiB a day
    call = S3_PUTS * prices.of("s3_put") + S3_GETS * prices.of("s3_get")
    call += MESSAGES_PER_VIDEO * prices.of("sqs_request") + prices.of("secret_call")
    call += prices.of("lambda_request") + LAMBDA_SECONDS * LAMBDA_GB * prices.of("lambda_gb_second")
    logs = LOG_MB_PER_VIDEO / 1000 * _log_gb(prices)
    sent = RESULT_MB_PER_VIDEO / 1000 * prices.of("internet_gb")
    passing = carried(prices, environment, work) - carried_without_videos(prices, environment, work)
    passing += DAYS * written * GIB / 1e9 * BETWEEN_ZONES * 2 * prices.of("zone_gb")
    return {
        "GPU machines": gpu.machines,
        "addresses of GPU machines": addresses,
        "machine images": gpu.images,
        "videos in S3": kept * megabytes / 1000 * prices.of("s3_gb_month"),
        "results in the database": environment.database_zones * more_gib * prices.of("rds_gp3_gib_month"),
        "backups of the database": _backups_gib(environment, results, written) * prices.of("rds_backup_gib_month"),
        "through endpoints, gateways, zones": passing,
        "requests, logs, results sent": work.videos * (call + logs + sent),
    }


def _log_gb(prices: Prices) -> float:
    """US dollars for a GB of logs that is taken in, and kept for a month."""
    return prices.of("logs_gb") + prices.of("logs_gb_month")


def _insights(prices: Prices, environment: Environment) -> float:
    if not environment.container_insights:
        return 0.0
    metrics = CLUSTER_METRICS + SERVICES * (SERVICE_METRICS + FAMILY_METRICS)
    told = 1 + SERVICES + 2 * (environment.api.tasks + environment.worker.tasks)  # tasks have one container each
    gb = told * EVENT_KB * 60 * HOURS / 1e6
    return metrics * prices.of("metric_month") + gb * _log_gb(prices)


def _backups_gib(environment: Environment, results: float, written: float) -> float:
    """What is billed: a copy, and what changed on each day that can be restored, beyond the database's storage.

    A day writes its results and removes as many old ones.
    """
    copies = results + environment.backup_days * 2 * written
    return max(0.0, copies - max(results, environment.database_gib))
