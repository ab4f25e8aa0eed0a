"""Plans, and what each one means to the fair-share queue."""

from dataclasses import dataclass
from enum import StrEnum


class Plan(StrEnum):
    ENTERPRISE = "enterprise"
    STUDIO = "studio"
    PRO = "pro"
    STARTER = "starter"
    FREE = "free"


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """How a plan's jobs are scheduled.

    `weight_factor` is AWS Batch's: the share a plan gets of the compute is proportional to 1 / weight_factor.
    `scheduling_priority` (0-9999) orders jobs inside one share identifier, higher first.
    """

    identifier: str
    weight_factor: float
    scheduling_priority: int


SHARES: dict[Plan, Share] = {
    Plan.ENTERPRISE: Share(identifier="enterprise", weight_factor=0.0625, scheduling_priority=5000),
    Plan.STUDIO: Share(identifier="studio", weight_factor=0.125, scheduling_priority=4000),
    Plan.PRO: Share(identifier="pro", weight_factor=0.25, scheduling_priority=3000),
    Plan.STARTER: Share(identifier="starter", weight_factor=0.5, scheduling_priority=2000),
    Plan.FREE: Share(identifier="free", weight_factor=1.0, scheduling_priority=1000),
}
