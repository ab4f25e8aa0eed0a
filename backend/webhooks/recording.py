"""What came of an attempt: it is logged, and the delivery is done, comes again, or is given up."""

import logging
import random
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from backend.webhooks.claiming import Claim
from backend.webhooks.models import Attempt, Delivery, DeliveryState, Endpoint
from backend.webhooks.sending import Outcome

logger = logging.getLogger(__name__)

FIRST_DELAY_SECONDS = 5.0
DELAY_FACTOR = 3
LONGEST_DELAY_SECONDS = 6 * 3600.0
JITTER = 0.2
MOST_ATTEMPTS = 12  # the last one comes 22.6 hours after the first, give or take a fifth
KEPT = timedelta(days=30)
GONE = 410  # the receiver's word for: never again


def record(claimed: Claim, outcome: Outcome) -> None:
    """It decides about the delivery only where no other attempt has begun since."""
    with transaction.atomic():
        delivery = (
            Delivery.objects.select_for_update(of=["self"])
            .select_related("endpoint")
            .filter(pk=claimed.delivery_id)
            .first()
        )
        if delivery is None:  # its endpoint was deleted meanwhile
            return
        Attempt.objects.create(
            delivery=delivery, status=outcome.status, error=outcome.error, milliseconds=outcome.milliseconds
        )
        if outcome.delivered:
            Endpoint.objects.filter(pk=delivery.endpoint_id).update(last_success_at=Now())
        if delivery.attempts != claimed.attempt or delivery.state != DeliveryState.PENDING:
            return
        _decide(delivery, outcome)
    logger.info(
        "webhook attempted",
        extra={
            "delivery_id": delivery.pk,
            "endpoint_id": delivery.endpoint_id,
            "attempt": claimed.attempt,
            "status": outcome.status,
            "error": outcome.error,
            "milliseconds": outcome.milliseconds,
            "state": delivery.state,
        },
    )


def _decide(delivery: Delivery, outcome: Outcome) -> None:
    # Not those that were begun: a worker that is killed over and over must not use up what a receiver is owed.
    made = Attempt.objects.filter(delivery=delivery, at__gte=delivery.queued_at).count()
    delivery.claimed_until = None
    if outcome.delivered:
        delivery.state, delivery.finished_at = DeliveryState.DELIVERED, timezone.now()
    elif outcome.status == GONE or made >= MOST_ATTEMPTS:
        delivery.state, delivery.finished_at = DeliveryState.FAILED, timezone.now()
        if not outcome.ours:
            _disable(delivery, outcome)
    else:
        delivery.not_before = timezone.now() + delay_after(made)
    delivery.save(update_fields=["state", "finished_at", "not_before", "claimed_until"])


def delay_after(attempt: int) -> timedelta:
    """5 seconds after the first attempt, then three times as long each time, at most 6 hours; ± a fifth."""
    seconds = min(FIRST_DELAY_SECONDS * DELAY_FACTOR ** (attempt - 1), LONGEST_DELAY_SECONDS)
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))


def _disable(delivery: Delivery, outcome: Outcome) -> None:
    """Where the receiver wants no more, or has taken nothing for as long as this delivery was tried."""
    answer = f"it answered with {outcome.status}" if outcome.status else outcome.error.rstrip(".")
    if outcome.status == GONE:
        reason = "The receiver answered with 410: it wants no more."
    else:
        reason = f"Nothing has been taken since {_minute(delivery.queued_at)}; at the last attempt {answer}."
    quiet = Q(last_success_at=None) | Q(last_success_at__lt=delivery.queued_at)
    endpoints = Endpoint.objects.filter(pk=delivery.endpoint_id, enabled=True)
    if outcome.status != GONE:
        endpoints = endpoints.filter(quiet)
    if endpoints.update(enabled=False, disabled_reason=reason):
        logger.warning("webhook disabled", extra={"endpoint_id": delivery.endpoint_id, "reason": reason})


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def forget_old() -> int:
    """Removes what was finished, or lay with a disabled endpoint, for longer than it is kept."""
    old = Delivery.objects.filter(created_at__lt=Now() - KEPT, queued_at__lt=Now() - KEPT)
    ids = list(old.values_list("pk", flat=True)[:1000])
    Delivery.objects.filter(pk__in=ids).delete()
    return len(ids)
