"""What the two example environments of Terraform cost in a month, whatever runs, and what each video adds."""

from dataclasses import dataclass, replace

from contract.prices import Prices
from costs.designs import Habits, split
from costs.inputs import HOURS, Machine, Purchase, Workload
from costs.markdown import number

GIB = 2**30


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Containers on Fargate that always run."""

    tasks: int
    vcpus: float
    gb: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """What an environment keeps day and night. A test holds this against what Terraform declares."""

    name: str
    database: str  # the service in the price file
    database_zones: int
    database_gib: float
    database_max_gib: float  # up to which the storage grows by itself
    api: Service
    worker: Service
    public_addresses: int
    nat_gateways: int
    interface_endpoints: int  # each counted once for every zone
    secrets: int
    alarm_metrics: int
    dashboards: int
    spot_max_vcpus: int
    on_demand_max_vcpus: int
    idle_minutes: float | None  # None leaves it to AWS Batch, and here to the machine's default


ENVIRONMENTS = (
    Environment(
        name="minimal",
        database="rds_db_t4g_micro_hour",
        database_zones=1,
        database_gib=20,
        database_max_gib=100,
        api=Service(tasks=1, vcpus=0.25, gb=0.5),
        worker=Service(tasks=1, vcpus=0.25, gb=1),
        public_addresses=4,
        nat_gateways=0,
        interface_endpoints=0,
        secrets=2,
        alarm_metrics=17,
        dashboards=1,
        spot_max_vcpus=16,
        on_demand_max_vcpus=8,
        idle_minutes=None,
    ),
    Environment(
        name="production",
        database="rds_db_m7g_large_hour",
        database_zones=2,
        database_gib=100,
        database_max_gib=4000,
        api=Service(tasks=2, vcpus=0.5, gb=1),
        worker=Service(tasks=2, vcpus=0.5, gb=2),
        public_addresses=3,
        nat_gateways=1,
        interface_endpoints=18,
        secrets=2,
        alarm_metrics=17,
        dashboards=1,
        spot_max_vcpus=384,
        on_demand_max_vcpus=64,
        idle_minutes=20,
    ),
)

# Assumptions about what passes through, small beside the rest.
IMAGES_GB = 1.0  # in the registry
QUEUES, POLL_SECONDS = 3, 20  # that the worker and Lambda ask, and how long one question lasts
LAMBDA_SECONDS, LAMBDA_GB = 1.0, 0.25  # for one video
REQUESTS_PER_VIDEO = 20  # to S3 and SQS each
LOG_MB_PER_VIDEO, LOG_GB_FIXED = 0.1, 1.0
RESULT_MB_PER_VIDEO = 5.0  # thumbnails, poster, and what is sent to browsers
BYTES_PER_DETECTION = 180.0  # in PostgreSQL, with its index and its share of a chunk; tests/costs measures it


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """US dollars in a month; `fixed` if no video changes it."""

    what: str
    dollars: float
    fixed: bool


def obstacles(environment: Environment, work: Workload, machine: Machine, purchase: Purchase) -> tuple[str, ...]:
    """Which limits of the environment the load exceeds, each in half a sentence.

    Within them videos would pile up without end, or the database be full. A machine has one GPU, for one video.
    """
    spot = purchase is Purchase.SPOT
    limit = environment.spot_max_vcpus if spot else environment.on_demand_max_vcpus
    name = "spot_max_vcpus" if spot else "on_demand_max_vcpus"
    lost = machine.interrupted * machine.start_minutes if spot else 0
    busy, allowed = work.per_minute * (work.work_minutes + lost), limit // machine.vcpus
    results = _results_gib(work)
    found = []
    if busy >= allowed:
        found.append(f"they keep {number(busy)} machines busy, and `{name} = {limit}` lets {allowed} run")
    if results > environment.database_max_gib:
        most = number(environment.database_max_gib)
        found.append(f"their results take {results:,.0f} GiB, and `max_storage_gib` is {most}")
    return tuple(found)


def bill(
    prices: Prices, environment: Environment, work: Workload, machine: Machine, habits: Habits, purchase: Purchase
) -> tuple[Line, ...]:
    """Each line is one row of the vendor's bill, roughly; their sum is the month."""
    return (*_fixed(prices, environment), *_by_video(prices, environment, work, machine, habits, purchase))


def _fixed(prices: Prices, environment: Environment) -> tuple[Line, ...]:
    fargate = sum(
        service.tasks
        * (service.vcpus * prices.of("fargate_vcpu_hour") + service.gb * prices.of("fargate_gb_hour"))
        for service in (environment.api, environment.worker)
    )
    database = HOURS * prices.of(environment.database) + environment.database_gib * prices.of("rds_gp3_gib_month")
    watching = environment.alarm_metrics * prices.of("alarm_month")
    watching += environment.dashboards * prices.of("dashboard_month")
    polling = QUEUES * HOURS * 3600 / POLL_SECONDS * prices.of("sqs_request")
    logs = LOG_GB_FIXED * (prices.of("logs_gb") + prices.of("logs_gb_month"))
    amounts = {
        "database": environment.database_zones * database,
        "API and worker (Fargate)": HOURS * fargate,
        "load balancer": HOURS * (prices.of("alb_hour") + prices.of("alb_lcu_hour")),
        "public addresses": environment.public_addresses * HOURS * prices.of("public_ipv4_hour"),
        "NAT gateways": environment.nat_gateways * HOURS * prices.of("nat_gateway_hour"),
        "endpoints": environment.interface_endpoints * HOURS * prices.of("endpoint_hour"),
        "alarms, dashboard, logs": watching + logs,
        "secrets, images, asking queues": environment.secrets * prices.of("secret_month")
        + IMAGES_GB * prices.of("ecr_gb_month")
        + polling,
    }
    return tuple(Line(what=what, dollars=dollars, fixed=True) for what, dollars in amounts.items())


def _by_video(
    prices: Prices, environment: Environment, work: Workload, machine: Machine, habits: Habits, purchase: Purchase
) -> tuple[Line, ...]:
    if environment.idle_minutes is not None:
        machine = replace(machine, idle_minutes=environment.idle_minutes)
    gpu = split(prices, work, machine, habits, purchase)
    megabytes = work.video_minutes * work.megabytes_per_minute + RESULT_MB_PER_VIDEO
    kept = work.videos_per_day * work.kept_days
    # What the database was given anyway costs nothing more.
    more_gib = max(0.0, _results_gib(work) - environment.database_gib)
    call = REQUESTS_PER_VIDEO * (prices.of("s3_put") + prices.of("sqs_request"))
    call += prices.of("lambda_request") + LAMBDA_SECONDS * LAMBDA_GB * prices.of("lambda_gb_second")
    logs = LOG_MB_PER_VIDEO / 1000 * (prices.of("logs_gb") + prices.of("logs_gb_month"))
    sent = RESULT_MB_PER_VIDEO / 1000 * prices.of("internet_gb")
    amounts = {
        "GPU machines": gpu.machines,
        "machine images": gpu.images,
        "videos in S3": kept * megabytes / 1000 * prices.of("s3_gb_month"),
        "results in the database": environment.database_zones * more_gib * prices.of("rds_gp3_gib_month"),
        "requests, logs, results sent": work.videos * (call + logs + sent),
    }
    return tuple(
        Line(what=what, dollars=dollars, fixed=what == "machine images") for what, dollars in amounts.items()
    )


def _results_gib(work: Workload) -> float:
    """In the database, once it is as full as it gets."""
    detections = work.video_minutes * 60 * work.frames_per_second * work.detections_per_frame
    return work.videos_per_day * work.kept_days * detections * BYTES_PER_DETECTION / GIB
