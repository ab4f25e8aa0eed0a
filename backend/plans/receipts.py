"""Receipts: what an analysis was quoted and charged, which machines worked on it, and what they cost."""

from dataclasses import dataclass
from typing import Self

from django.db.models import Q

from backend.plans.models import LedgerEntry
from backend.videos.models import Analysis, Run
from contract.prices import InstancePrice, prices

Kind = LedgerEntry.Kind
SPOT, ON_DEMAND = "spot", "on-demand"


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """One container at work: an attempt of a job, or of one job of an array."""

    job_id: str
    attempt: int
    gpu: bool
    instance_type: str | None  # None where the machine does not tell, as on one's own computer
    market: str | None
    zone: str | None
    seconds: float  # from the claim to the last commit
    usd_per_hour: float | None
    price_date: str | None

    @property
    def cost_usd(self) -> float | None:
        return None if self.usd_per_hour is None else self.seconds * self.usd_per_hour / 3600

    @classmethod
    def of(cls, run: Run) -> Self:
        price = _price_of(run)
        return cls(
            job_id=run.job_id,
            attempt=run.attempt,
            gpu=run.gpu,
            instance_type=run.instance_type,
            market=run.market,
            zone=run.zone,
            seconds=round((run.seen_at - run.started_at).total_seconds(), 3),
            usd_per_hour=price and {SPOT: price.spot, ON_DEMAND: price.on_demand}.get(run.market or ""),
            price_date=price and price.date,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """None is what nobody knows: of credits, because there were none when it was asked for, or it is not over."""

    quoted: int | None
    charged: int | None
    refunded: int | None
    machines: tuple[Machine, ...]
    start_up_seconds: float | None  # from AWS Batch's acceptance of the job to its first claim

    @property
    def machine_seconds(self) -> float:
        return round(sum(machine.seconds for machine in self.machines), 3)

    @property
    def gpu_seconds(self) -> float:
        return round(sum(machine.seconds for machine in self.machines if machine.gpu), 3)

    @property
    def cost_usd(self) -> float | None:
        """None where the price of any machine is not known."""
        costs = [machine.cost_usd for machine in self.machines]
        known = [cost for cost in costs if cost is not None]
        return round(sum(known), 6) if known and len(known) == len(costs) else None

    @classmethod
    def of(cls, analysis: Analysis) -> Self:
        # By kinds, as the indexes that keep each unique have them: without, all of the ledger would be read.
        reserved = Q(analysis_id=analysis.pk, kind=Kind.RESERVATION)
        closed = Q(analysis_id=analysis.pk, kind__in=[Kind.SETTLEMENT, Kind.REFUND])
        entries = dict(LedgerEntry.objects.filter(reserved | closed).values_list("kind", "credits"))
        quoted = -entries[Kind.RESERVATION] if Kind.RESERVATION in entries else None
        refunded = entries.get(Kind.SETTLEMENT, entries.get(Kind.REFUND))
        accepted, started = analysis.submitted_at, analysis.started_at
        return cls(
            quoted=quoted,
            charged=None if quoted is None or refunded is None else quoted - refunded,
            refunded=refunded,
            machines=tuple(Machine.of(run) for run in analysis.runs.order_by("started_at", "job_id", "attempt")),
            start_up_seconds=max((started - accepted).total_seconds(), 0.0) if accepted and started else None,
        )


def _price_of(run: Run) -> InstancePrice | None:
    return prices().instances.get(run.instance_type or "")
