"""Requests of which nothing was heard after they were sent: sent again, and at last closed."""

import logging
from datetime import timedelta

from django.db.models import F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from backend.videos.dead_requests import bury_request
from backend.videos.models import OutboxMessage
from contract.statuses import AnalysisStatus

logger = logging.getLogger(__name__)

# Much longer than the way to AWS Batch takes. The Lambda submits what has no job, and tells of a job it finds.
AGAIN_AFTER = timedelta(minutes=30)
CLOSED_AFTER = timedelta(hours=24)
_AT_A_TIME = 1000


def resend_once() -> int:
    """Returns how many requests it took on. Raises Django's database errors."""
    old = _unheard().filter(created_at__lt=Now() - CLOSED_AFTER)
    for message in old[:_AT_A_TIME]:
        fault = f"no job was heard of within {CLOSED_AFTER.total_seconds() / 3600:.0f} hours"
        bury_request(message_id=f"outbox-{message.pk}", body=message.body, fault=fault)
    again = list(_unheard().filter(created_at__gte=Now() - CLOSED_AFTER).values_list("pk", flat=True)[:_AT_A_TIME])
    # The guard leaves alone what another worker has taken on meanwhile.
    sent = OutboxMessage.objects.filter(pk__in=again, sent_at__lt=Now() - AGAIN_AFTER)
    resent = sent.update(sent_at=None, not_before=Now())
    if resent:
        logger.warning("requests sent again, of which nothing was heard", extra={"count": resent})
    return resent


def _unheard() -> QuerySet[OutboxMessage]:
    """The newest message of each analysis that is still `queued`: an older one asked for a Spot machine."""
    newest = OutboxMessage.objects.filter(analysis=OuterRef("analysis")).order_by("-id").values("pk")[:1]
    return OutboxMessage.objects.filter(
        analysis__status=AnalysisStatus.QUEUED.value, sent_at__lt=Now() - AGAIN_AFTER, pk=Subquery(newest)
    ).order_by(F("sent_at"))
