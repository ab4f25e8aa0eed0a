"""How often each user may ask the API, by plan."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.throttling import BaseThrottle

from backend.accounts.leases import Leases
from contract.plans import Plan

WINDOW = timedelta(minutes=1)
BLOCKS = 100  # into how many what a plan allows is cut: each server process may hold one that others then lack
LEASES = Leases()


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """Requests in a minute, over all API keys and sessions of a user."""

    reads: int
    changes: int


RATES: dict[Plan, Rates] = {
    Plan.ENTERPRISE: Rates(reads=60_000, changes=6_000),
    Plan.STUDIO: Rates(reads=6_000, changes=600),
    Plan.PRO: Rates(reads=3_000, changes=300),
    Plan.STARTER: Rates(reads=1_200, changes=120),
    Plan.FREE: Rates(reads=600, changes=60),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RateLimit:
    """What one answer says of the user's rate, after draft-ietf-httpapi-ratelimit-headers-10."""

    policy: str
    most: int
    left: int
    seconds_left: int

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.most};w={int(WINDOW.total_seconds())}',
            "RateLimit": f'"{self.policy}";r={self.left};t={self.seconds_left}',
        }


class PlanThrottle(BaseThrottle):
    """Leaves what it found as `rate_limit` on Django's request, where the middleware reads it."""

    def allow_request(self, request: Any, view: Any) -> bool:
        policy = "reads" if request.method in SAFE_METHODS else "changes"
        most = getattr(RATES[Plan(request.user.plan)], policy)
        taken = LEASES.take(f"{policy}:{request.user.pk}", WINDOW, block=max(1, most // BLOCKS))
        self._seconds_left = taken.seconds_left
        request._request.rate_limit = RateLimit(
            policy=policy, most=most, left=max(most - taken.count, 0), seconds_left=round(taken.seconds_left)
        )
        return taken.count <= most

    def wait(self) -> float:
        return self._seconds_left
