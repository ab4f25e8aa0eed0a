"""Which share identifier is served next ("Fair-share scheduling policies" in the AWS Batch user guide).

AWS describes the aim, not the arithmetic. Played here: a share's usage is its running vCPUs plus the vCPUs it used
within the decay window, where a second counts less the longer ago it was, down to nothing at the window's end. The
share with the least usage times weight factor is next; the lower weight factor wins a tie, then the older job.
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

DEFAULT_WINDOW_SECONDS = 600.0  # "A value of zero (0) indicates the default minimum time window (600 seconds)."
DEFAULT_WEIGHT = 1.0  # "Share identifiers that aren't included have a default weight of 1.0."


def window_seconds(policy: Mapping[str, Any]) -> float:
    return float(policy.get("shareDecaySeconds") or DEFAULT_WINDOW_SECONDS)


def weight_of(policy: Mapping[str, Any], share: str) -> float:
    """An entry that ends with an asterisk gives the weight of every identifier that starts with it."""
    for entry in policy.get("shareDistribution", ()):
        identifier = entry["shareIdentifier"]
        is_prefix = identifier.endswith("*") and share.startswith(identifier[:-1])
        if is_prefix or identifier == share:
            return float(entry.get("weightFactor", DEFAULT_WEIGHT))
    return DEFAULT_WEIGHT


def reserved_ratio(policy: Mapping[str, Any], active_shares: int) -> float:
    """ "The reserved ratio is (computeReservation/100)^ActiveFairShares where ActiveFairShares is the number of
    active share identifiers."
    """
    return float((policy.get("computeReservation", 0) / 100) ** max(1, active_shares))


@dataclass(slots=True)
class Use:
    """vCPUs held by one attempt; `end` is None while it runs. Times in seconds."""

    share: str
    vcpus: float
    start: float
    end: float | None = None


@dataclass(slots=True)
class UsageLedger:
    """What each share of one queue holds and has held."""

    running: dict[str, Use] = field(default_factory=dict)
    ended: deque[Use] = field(default_factory=deque)

    def begin(self, attempt: str, share: str, vcpus: float, now: float) -> None:
        self.running[attempt] = Use(share, vcpus, now)

    def finish(self, attempt: str, now: float) -> None:
        use = self.running.pop(attempt, None)
        if use is not None:
            use.end = now
            self.ended.append(use)

    def usage(self, now: float, window: float) -> dict[str, float]:
        """vCPUs per share: those running, and the decayed mean of those used within the window."""
        while self.ended and (self.ended[0].end or 0.0) <= now - window:
            self.ended.popleft()
        totals: dict[str, float] = defaultdict(float)
        for use in self.running.values():
            totals[use.share] += use.vcpus
        for use in (*self.running.values(), *self.ended):
            totals[use.share] += use.vcpus * decayed_fraction(use, now, window)
        return dict(totals)


def decayed_fraction(use: Use, now: float, window: float) -> float:
    """0 for nothing within the window, 1 for the whole window: the integral of the linear decay over the use."""
    newest = now - (now if use.end is None else use.end)
    oldest = min(window, now - use.start)
    if oldest <= newest:
        return 0.0
    return ((oldest - newest) - (oldest**2 - newest**2) / (2 * window)) * 2 / window


@dataclass(frozen=True, slots=True)
class Candidate:
    """A RUNNABLE job as the choice sees it. `order` grows with the time of submission."""

    job_id: str
    share: str
    priority: int
    order: int
    rank: tuple[int, int] = field(init=False)  # inside its share; the least is first

    def __post_init__(self) -> None:
        object.__setattr__(self, "rank", (-self.priority, self.order))


def next_candidate(
    candidates: Iterable[Candidate], policy: Mapping[str, Any], usage: Mapping[str, float]
) -> Candidate | None:
    """Between shares the least weighted usage; inside a share the highest scheduling priority, then the oldest.

    "Jobs with a higher scheduling priority are scheduled before jobs with a lower scheduling priority [...] works
    only within a single share identifier."
    """
    best_of: dict[str, Candidate] = {}
    for candidate in candidates:
        best = best_of.get(candidate.share)
        if best is None or candidate.rank < best.rank:
            best_of[candidate.share] = candidate

    def standing(candidate: Candidate) -> tuple[float, float, int]:
        weight = weight_of(policy, candidate.share)
        return (usage.get(candidate.share, 0.0) * weight, weight, candidate.order)

    return min(best_of.values(), key=standing, default=None)
