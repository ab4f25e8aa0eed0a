"""What is owed to receivers is sent at least once, each delivery until one takes it or a day has passed."""

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from backend.config.threads import in_thread
from backend.webhooks.models import Attempt, Delivery, DeliveryState, Endpoint
from backend.webhooks.payloads import payload_of
from backend.webhooks.sending import TOTAL_SECONDS, Outcome, send
from backend.webhooks.signing import headers

logger = logging.getLogger(__name__)

AT_A_TIME = 32
TURN_SECONDS = 30.0
PER_ENDPOINT = 4  # a slow receiver holds no more than these
LEASE = timedelta(seconds=TOTAL_SECONDS * 3)  # a worker that died has not said so, and then another one sends
FIRST_DELAY_SECONDS = 5.0
DELAY_FACTOR = 3
LONGEST_DELAY_SECONDS = 6 * 3600.0
JITTER = 0.2
MOST_ATTEMPTS = 12  # the last one comes 22.6 hours after the first, give or take a fifth
KEPT = timedelta(days=30)
GONE = 410  # the receiver's word for: never again

_CLAIM = """
    UPDATE webhooks_delivery AS claimed SET attempts = attempts + 1, claimed_until = now() + %(lease)s
    FROM (
        SELECT due.id FROM webhooks_endpoint AS endpoint CROSS JOIN LATERAL (
            SELECT delivery.id, delivery.not_before FROM webhooks_delivery AS delivery
            WHERE delivery.endpoint_id = endpoint.id AND delivery.state = 'pending'
              AND delivery.not_before <= now()
              AND (delivery.claimed_until IS NULL OR delivery.claimed_until < now())
            ORDER BY delivery.not_before
            LIMIT greatest(%(each)s - (
                SELECT count(*) FROM webhooks_delivery AS held
                WHERE held.endpoint_id = endpoint.id AND held.state = 'pending' AND held.claimed_until >= now()
            ), 0)
            FOR UPDATE SKIP LOCKED
        ) AS due
        WHERE endpoint.enabled AND endpoint.id IN (
            SELECT endpoint_id FROM webhooks_delivery WHERE state = 'pending' AND not_before <= now()
        )
        ORDER BY due.not_before LIMIT %(most)s
    ) AS chosen
    WHERE claimed.id = chosen.id RETURNING claimed.id
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claimed:
    """A delivery in the hands of one worker, until its lease ends."""

    delivery_id: UUID
    attempt: int
    url: str
    message_id: str
    body: bytes
    secrets: tuple[str, ...]


def deliver_once() -> int:
    """Sends what is due, for half a minute at most, and returns how many requests that took.

    Several workers may do so at the same time. Raises Django's database errors.
    """
    return asyncio.run(_deliver_all())


async def _deliver_all() -> int:
    sent = 0
    under_way: set[asyncio.Task[None]] = set()
    until = time.monotonic() + TURN_SECONDS
    while True:
        room = AT_A_TIME - len(under_way) if time.monotonic() < until else 0
        claimed = await in_thread(partial(claim, room)) if room else []
        under_way |= {asyncio.create_task(_deliver(delivery)) for delivery in claimed}
        if not under_way:
            return sent
        finished, under_way = await asyncio.wait(under_way, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            task.result()
        sent += len(finished)


async def _deliver(delivery: Claimed) -> None:
    signed = headers(
        delivery.secrets, message_id=delivery.message_id, timestamp=int(time.time()), body=delivery.body
    )
    outcome = await send(
        delivery.url,
        headers={**signed, "Content-Type": "application/json", "User-Agent": "Framebatch-Webhooks/1"},
        body=delivery.body,
        allow_loopback=settings.WEBHOOKS_ALLOW_LOOPBACK,
    )
    await in_thread(lambda: record(delivery, outcome))


def claim(most: int) -> list[Claimed]:
    """Takes deliveries that are due, a few of each endpoint."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, {"lease": LEASE, "each": PER_ENDPOINT, "most": most})
            ids = [row[0] for row in cursor.fetchall()]
        taken = Delivery.objects.filter(pk__in=ids).select_related("endpoint")
        return [_claimed(delivery) for delivery in taken]


def _claimed(delivery: Delivery) -> Claimed:
    if not delivery.body:
        delivery.body = payload_of(delivery)
        delivery.save(update_fields=["body"])
    endpoint = delivery.endpoint
    secrets = [endpoint.secret]
    if endpoint.old_secret_until is not None and endpoint.old_secret_until > timezone.now():
        secrets.append(endpoint.old_secret)
    return Claimed(
        delivery_id=delivery.pk,
        attempt=delivery.attempts,
        url=endpoint.url,
        message_id=delivery.message_id,
        body=delivery.body.encode(),
        secrets=tuple(secrets),
    )


def record(claimed: Claimed, outcome: Outcome) -> None:
    """What came of an attempt. It decides about the delivery only where no other attempt has begun since."""
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
            "state": delivery.state,
        },
    )


def _decide(delivery: Delivery, outcome: Outcome) -> None:
    delivery.claimed_until = None
    if outcome.delivered:
        delivery.state, delivery.finished_at = DeliveryState.DELIVERED, timezone.now()
    elif outcome.status == GONE or delivery.attempts >= MOST_ATTEMPTS:
        delivery.state, delivery.finished_at = DeliveryState.FAILED, timezone.now()
        _disable(delivery, outcome)
    else:
        delivery.not_before = timezone.now() + delay_after(delivery.attempts)
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
