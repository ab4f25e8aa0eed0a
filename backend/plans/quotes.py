"""Quotes: what an analysis will cost at most, signed, so that a request can hold us to it for a day."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.utils import timezone

from backend.accounts.models import User
from backend.plans.errors import QuoteExpired, QuoteInvalid, QuoteMismatch
from backend.plans.estimating import Estimate, Footage, estimate, timeout_seconds
from backend.plans.limits import require_length, require_media
from backend.videos.models import Video
from contract.manifest import ModelEntry
from contract.options import AnalysisOptions
from contract.plans import LIMITS, Plan

VALID = timedelta(hours=24)
_SALT = "backend.plans.quotes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """What is reserved for an analysis, and how long one attempt at it may take."""

    credits: int
    timeout_seconds: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    estimate: Estimate
    token: str
    valid_until: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One request for an analysis, after its checks."""

    owner: User
    video: Video
    model: ModelEntry
    options: AnalysisOptions

    def estimate(self) -> Estimate:
        """Raises MediaNotAllowed and VideoTooLong."""
        if self.video.facts is not None:
            require_media(self.owner, self.video.facts)
        footage = Footage.of(self.video)
        if footage.seconds is not None and not footage.guessed:
            require_length(self.owner, footage.seconds)
        longest = LIMITS[Plan(self.owner.plan)].video_seconds
        return estimate(footage, self.model, self.options, longest_seconds=longest)

    def quote(self) -> Quote:
        """Raises MediaNotAllowed and VideoTooLong."""
        found = self.estimate()
        terms = {"credits": found.credits, "seconds": found.seconds, "for": self._identity()}
        return Quote(estimate=found, token=signing.dumps(terms, salt=_SALT), valid_until=timezone.now() + VALID)

    def price(self, token: str | None) -> Price:
        """By the quote that the request names, or as a quote would say now.

        Raises MediaNotAllowed, VideoTooLong, QuoteInvalid, QuoteExpired, QuoteMismatch.
        """
        now = self.estimate()  # also where a quote is named: the plan may have changed since
        credits, seconds = (now.credits, now.seconds) if token is None else self._agreed(token)
        limit = timeout_seconds(seconds, slowest_machine=settings.SLOWEST_MACHINE)
        return Price(credits=credits, timeout_seconds=limit)

    def _agreed(self, token: str) -> tuple[int, float]:
        try:
            terms = signing.loads(token, salt=_SALT, max_age=VALID)
        except signing.SignatureExpired as exc:
            raise QuoteExpired from exc
        except signing.BadSignature as exc:
            raise QuoteInvalid from exc
        mine = self._identity()
        differing = [name for name, value in terms["for"].items() if mine[name] != value]
        if differing:
            raise QuoteMismatch(differing)
        return terms["credits"], terms["seconds"]

    def _identity(self) -> dict[str, Any]:
        options = json.dumps(self.options.to_dict(), sort_keys=True)
        return {
            "owner": self.owner.pk,
            "video": str(self.video.pk),
            "model": self.model.name,
            "options": hashlib.sha256(options.encode()).hexdigest()[:32],
        }
