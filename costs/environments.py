"""What the two example environments of Terraform keep day and night, and what they do not carry."""

from dataclasses import dataclass

from costs.inputs import Machine, Purchase, Workload
from costs.markdown import number

GIB = 2**30
BYTES_PER_DETECTION = 180.0  # in PostgreSQL, with its index and its share of a chunk; tests/costs measures it


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
    zones: int
    machines_have_addresses: bool
    old_version_days: int  # for which S3 keeps what was deleted; 0 where it keeps no versions
    backup_days: int
    container_insights: bool
    secrets: int
    alarm_metrics: int
    log_metrics: int  # made from what the product says; billed for hours in which it says something
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
        zones=2,
        machines_have_addresses=True,
        old_version_days=0,
        backup_days=1,
        container_insights=False,
        secrets=2,
        alarm_metrics=17,
        log_metrics=5,
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
        zones=2,
        machines_have_addresses=False,
        old_version_days=30,
        backup_days=14,
        container_insights=True,
        secrets=2,
        alarm_metrics=17,
        log_metrics=5,
        dashboards=1,
        spot_max_vcpus=384,
        on_demand_max_vcpus=64,
        idle_minutes=20,
    ),
)


def obstacles(environment: Environment, work: Workload, machine: Machine, purchase: Purchase) -> tuple[str, ...]:
    """Which limits of the environment the load exceeds, each in half a sentence.

    Within them videos would pile up without end, or the database be full. A machine has one GPU, for one video.
    """
    spot = purchase is Purchase.SPOT
    limit = environment.spot_max_vcpus if spot else environment.on_demand_max_vcpus
    name = "spot_max_vcpus" if spot else "on_demand_max_vcpus"
    lost = machine.interrupted * machine.start_minutes if spot else 0
    busy, allowed = work.per_minute * (work.work_minutes + lost), limit // machine.vcpus
    results = results_gib(work)
    found = []
    if busy >= allowed:
        found.append(f"they keep {number(busy)} machines busy, and `{name} = {limit}` lets {allowed} run")
    if results > environment.database_max_gib:
        most = number(environment.database_max_gib)
        found.append(f"their results take {results:,.0f} GiB, and `max_storage_gib` is {most}")
    return tuple(found)


def results_gib(work: Workload) -> float:
    """In the database, once it is as full as it gets."""
    detections = work.video_minutes * 60 * work.frames_per_second * work.detections_per_frame
    return work.videos_per_day * work.kept_days * detections * BYTES_PER_DETECTION / GIB
