"""The outbox relay: what the database owes SQS is sent, at least once, oldest first."""

import logging

from django.db import transaction
from django.db.models.functions import Now

from backend.gateways.request_queue import BATCH, RequestQueue
from backend.videos.models import OutboxMessage
from backend.videos.postponing import postponed

logger = logging.getLogger(__name__)


def relay_once(queue: RequestQueue) -> int:
    """Sends one batch and returns how many messages it took on. Raises QueueUnavailable; nothing is lost then.

    A crash between sending and committing sends the batch again; the Lambda finds the first one's jobs.
    """
    with transaction.atomic():
        # Locked rows are in another relay's hands.
        messages = list(
            OutboxMessage.objects.select_for_update(skip_locked=True)
            .filter(sent_at=None, not_before__lte=Now())
            .order_by("id")[:BATCH]
        )
        if not messages:
            return 0
        refused = queue.send([message.body for message in messages])
        sent = [message.pk for position, message in enumerate(messages) if position not in refused]
        OutboxMessage.objects.filter(pk__in=sent).update(sent_at=Now(), last_error="")
        for position, reason in refused.items():
            _postpone(messages[position], reason)
    logger.info("messages relayed", extra={"sent": len(sent), "refused": len(refused)})
    return len(messages)


def _postpone(message: OutboxMessage, reason: str) -> None:
    OutboxMessage.objects.filter(pk=message.pk).update(**postponed(attempts=message.attempts, reason=reason))
    logger.warning("message refused by SQS", extra={"analysis_id": message.analysis_id, "reason": reason})
