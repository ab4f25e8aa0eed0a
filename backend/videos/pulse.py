"""One log line a minute says that the worker is alive, and what has piled up; others, what waits long."""

import logging
from datetime import datetime

from django.db.models import Count, Min, Q
from django.db.models.functions import Now
from django.utils import timezone

from backend.videos.models import DeadRequest, OutboxMessage, OwedCall
from backend.videos.waiting import waiting_long
from backend.webhooks.models import Delivery, DeliveryState

logger = logging.getLogger(__name__)

UNSENT_LONG_SECONDS = 300  # what SQS takes is gone within seconds


def beat() -> None:
    """Raises Django's database errors: a worker that cannot reach the database is silent."""
    unsent = OutboxMessage.objects.filter(sent_at=None, not_before__lte=Now()).aggregate(
        count=Count("pk"), oldest=Min("created_at")
    )
    owed = OwedCall.objects.filter(done_at=None).aggregate(
        waiting=Count("pk", filter=Q(given_up_at=None)), given_up=Count("pk", filter=~Q(given_up_at=None))
    )
    due = Delivery.objects.filter(
        state=DeliveryState.PENDING.value, not_before__lte=Now(), endpoint__enabled=True
    ).aggregate(count=Count("pk"), oldest=Min("not_before"))
    figures = {
        "unsent_messages": unsent["count"],
        "oldest_unsent_seconds": _seconds_since(unsent["oldest"]),
        "owed_calls": owed["waiting"],
        "owed_calls_given_up": owed["given_up"],
        "requests_to_redrive": DeadRequest.objects.filter(redriven_at=None).count(),
        "webhooks_due": due["count"],
        "oldest_webhook_seconds": _seconds_since(due["oldest"]),
    }
    waiting = waiting_long()
    logger.info("worker is alive", extra=figures | waiting)
    if waiting["jobs_waiting_long"]:
        logger.warning("jobs wait long for a machine", extra=waiting)  # terraform's alarm counts these lines
    if figures["oldest_unsent_seconds"] > UNSENT_LONG_SECONDS:
        logger.warning("requests stay unsent", extra=figures)  # and these
    if figures["owed_calls_given_up"]:
        logger.warning("owed calls stay given up", extra=figures)  # and these


def _seconds_since(moment: datetime | None) -> int:
    return int((timezone.now() - moment).total_seconds()) if moment else 0
