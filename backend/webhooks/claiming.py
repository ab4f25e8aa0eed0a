"""Which deliveries a worker takes next, so that nobody's receivers hold up anybody else's."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from backend.webhooks.models import Delivery
from backend.webhooks.payloads import payload_of
from backend.webhooks.sending import TOTAL_SECONDS

# Requests under way, over all workers: a slow receiver holds no more than the first, all receivers of one owner
# together no more than the second.
PER_ENDPOINT, PER_OWNER = 4, 8
LEASE = timedelta(seconds=TOTAL_SECONDS * 3)  # a worker that died has not said so, and then another one sends

# What is held and what is due get places in a line of their owner, endpoint by endpoint in turn. First come the
# first places of all lines, so that nobody's second request goes before another owner's first. Two workers that
# look at the same time see the same line: what one has locked the other leaves, and takes nothing behind it.
_CLAIM = """
    WITH held AS MATERIALIZED (
        SELECT id, endpoint_id, not_before FROM webhooks_delivery
        WHERE state = 'pending' AND claimed_until IS NOT NULL AND claimed_until >= now()
    ), of_endpoints AS (
        SELECT either.*, endpoint.owner_id,
            row_number() OVER (
                PARTITION BY endpoint.id ORDER BY either.held DESC, either.not_before, either.id
            ) AS place
        FROM webhooks_endpoint AS endpoint CROSS JOIN LATERAL (
            (
                SELECT id, not_before, false AS held FROM webhooks_delivery
                WHERE endpoint_id = endpoint.id AND endpoint.enabled AND state = 'pending' AND not_before <= now()
                  AND (claimed_until IS NULL OR claimed_until < now())
                ORDER BY not_before, id LIMIT %(per_endpoint)s
            )
            UNION ALL
            SELECT id, not_before, true FROM held WHERE endpoint_id = endpoint.id
        ) AS either
        -- Most have nothing due. What is held is due as well: only its end, which lets it go, postpones it.
        WHERE endpoint.id IN (
            SELECT endpoint_id FROM webhooks_delivery WHERE state = 'pending' AND not_before <= now()
        )
    ), of_owners AS (
        SELECT id, held, not_before,
            row_number() OVER (PARTITION BY owner_id ORDER BY held DESC, place, not_before, id) AS place
        FROM of_endpoints WHERE place <= %(per_endpoint)s
    ), chosen AS (
        SELECT delivery.id FROM webhooks_delivery AS delivery JOIN of_owners USING (id)
        WHERE NOT of_owners.held AND of_owners.place <= %(per_owner)s
          -- Once more: it may have been replayed or decided since it was looked at.
          AND delivery.state = 'pending' AND delivery.not_before <= now()
          AND (delivery.claimed_until IS NULL OR delivery.claimed_until < now())
        ORDER BY of_owners.place, of_owners.not_before LIMIT %(most)s
        FOR UPDATE OF delivery SKIP LOCKED
    )
    UPDATE webhooks_delivery AS claimed
    SET attempts = least(attempts + 1, 32767), claimed_until = now() + %(lease)s
    FROM chosen WHERE claimed.id = chosen.id RETURNING claimed.id, claimed.attempts
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """A delivery in the hands of one worker, until its lease ends."""

    delivery_id: UUID
    attempt: int  # of the delivery; a later one takes it away from this worker


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What is to be sent."""

    url: str
    message_id: str
    body: bytes
    secrets: tuple[str, ...]


def claim(most: int) -> list[Claim]:
    """Takes deliveries that are due, a few of each owner."""
    values = {"lease": LEASE, "per_endpoint": PER_ENDPOINT, "per_owner": PER_OWNER, "most": most}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        return [Claim(delivery_id=row[0], attempt=row[1]) for row in cursor.fetchall()]


def message_of(claimed: Claim) -> Message | None:
    """None where its endpoint was deleted meanwhile. Whatever else it raises is this one delivery's fault."""
    delivery = Delivery.objects.select_related("endpoint").filter(pk=claimed.delivery_id).first()
    if delivery is None:
        return None
    if not delivery.body:
        # Whoever makes it first makes it for every attempt, also where a worker thought dead is still at it.
        Delivery.objects.filter(pk=delivery.pk, body="").update(body=payload_of(delivery))
        delivery.refresh_from_db(fields=["body"])
    endpoint = delivery.endpoint
    secrets = [endpoint.secret]
    if endpoint.old_secret_until is not None and endpoint.old_secret_until > timezone.now():
        secrets.append(endpoint.old_secret)
    return Message(
        url=endpoint.url, message_id=delivery.message_id, body=delivery.body.encode(), secrets=tuple(secrets)
    )
