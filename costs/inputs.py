"""What a calculation starts from. Every default is an assumption that a person may replace on the command line."""

from dataclasses import dataclass
from enum import StrEnum

from contract.prices import Prices

DAYS = 30  # in the month that is told; 720 hours
HOURS = 24 * DAYS
MINUTES = 60 * HOURS


class Purchase(StrEnum):
    SPOT = "spot"
    ON_DEMAND = "on_demand"


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """Videos that arrive one by one and independently of each other, at the same rate day and night."""

    videos_per_day: float = 5
    video_minutes: float = 10
    speed: float = (
        1  # minutes of video in a minute of GPU; 1 is the published case, and far too careful for YOLOv8n
    )
    frames_per_second: float = 30
    detections_per_frame: float = 3
    megabytes_per_minute: float = 40  # of upload: 5.3 Mbit/s, as cameras and phones make at 720p
    kept_days: float = 30  # uploads and results

    @property
    def work_minutes(self) -> float:
        """Minutes that one video keeps a GPU."""
        return self.video_minutes / self.speed

    @property
    def videos(self) -> float:
        """In a month."""
        return self.videos_per_day * DAYS

    @property
    def per_minute(self) -> float:
        """Videos that arrive in a minute, on average."""
        return self.videos_per_day / (24 * 60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The GPU machine, how it starts and how it ends."""

    instance: str = "g5.xlarge"
    spot_discount: float | None = None  # of the On-Demand price, 0 to 1; None for the Spot price of the file
    boot_seconds: float = 90  # from the request for a machine to the first line of the container
    image_gib: float = 15  # data in the machine image's snapshot
    read_gib: float = 2  # of it, what a job reads before its first frame: Python, CUDA, torch, the model
    slow_mibps: float = 3  # first reads of a volume made from a snapshot, as users have measured them
    initialization_mibps: float | None = 300  # the volume initialization rate that is paid for; None for none
    idle_minutes: float = 5  # without work, until the machine leaves
    volume_gib: float = 60
    volume_mibps: float = 250  # throughput of the volume once it is initialized
    interrupted: float = 0.05  # share of Spot jobs whose machine is taken away once

    @property
    def vcpus(self) -> int:
        """By the name of its size, which in families with a GPU counts in fours: xlarge, 2xlarge, and so on."""
        return 4 * int(self.instance.partition(".")[2].removesuffix("xlarge") or 1)

    @property
    def read_seconds(self) -> float:
        """At a paid rate the whole snapshot is read, whatever a job needs of it; without one, what it touches."""
        if self.initialization_mibps is None:
            return self.read_gib * 1024 / self.slow_mibps
        return self.image_gib * 1024 / self.initialization_mibps

    @property
    def start_minutes(self) -> float:
        return (self.boot_seconds + self.read_seconds) / 60

    def hour(self, prices: Prices, purchase: Purchase) -> float:
        """US dollars for an hour of the machine alone."""
        price = prices.instance(self.instance)
        if purchase is Purchase.ON_DEMAND:
            return price.on_demand
        return price.spot if self.spot_discount is None else price.on_demand * (1 - self.spot_discount)

    def minute(self, prices: Prices, purchase: Purchase) -> float:
        """US dollars for a minute of the machine with its volume."""
        volume = self.volume_gib * prices.of("ebs_gp3_gib_month")
        volume += max(0.0, self.volume_mibps - 125) * prices.of("ebs_gp3_mibps_month")
        return (self.hour(prices, purchase) + volume / HOURS) / 60

    def initialization(self, prices: Prices) -> float:
        """US dollars for reading the volume of one start; the vendor's price is in proportion to the rate."""
        rate = self.initialization_mibps or 0
        return self.image_gib * prices.of("ebs_initialization_gib_at_300") * rate / 300
