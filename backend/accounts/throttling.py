"""How often each user may ask the API, by plan."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.http import HttpRequest
from rest_framework.permissions import SAFE_METHODS
from rest_framework.throttling import BaseThrottle

from backend.accounts.counting import Taken
from backend.accounts.leases import Leases
from backend.accounts.models import User
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
    taken: Taken

    @property
    def is_exceeded(self) -> bool:
        return self.taken.count > self.most

    def headers(self) -> dict[str, str]:
        left, seconds = max(self.most - self.taken.count, 0), round(self.taken.seconds_left)
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.most};w={int(WINDOW.total_seconds())}',
            "RateLimit": f'"{self.policy}";r={left};t={seconds}',
        }


def count(request: HttpRequest, user: User) -> RateLimit:
    """Counts a request of the user, once, and leaves what was found on it as `rate_limit` for the middleware."""
    counted: RateLimit | None = getattr(request, "rate_limit", None)
    if counted is not None:
        return counted
    policy = "reads" if request.method in SAFE_METHODS else "changes"
    most = getattr(RATES[Plan(user.plan)], policy)
    taken = LEASES.take(f"{policy}:{user.pk}", WINDOW, block=max(1, most // BLOCKS))
    request.rate_limit = limit = RateLimit(policy=policy, most=most, taken=taken)
    return limit


class PlanThrottle(BaseThrottle):
    def allow_request(self, request: Any, view: Any) -> bool:
        self._limit = count(request._request, request.user)
        return not self._limit.is_exceeded

    def wait(self) -> float:
        return self._limit.taken.seconds_left
