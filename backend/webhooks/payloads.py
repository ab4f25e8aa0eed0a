"""What a webhook says."""

import json
from typing import Any

from django.utils import timezone
from rest_framework.utils.encoders import JSONEncoder

from backend.videos.models import Analysis, AnalysisEvent
from backend.videos.representations import analysis_document
from backend.webhooks.models import PING, Delivery


def payload_of(delivery: Delivery) -> str:
    """JSON: `type`, `timestamp` of what happened, and `data`: the analysis as the API shows it.

    Of one that its owner has deleted since, only the id and how it ended are left.
    """
    document = {"type": delivery.kind, "timestamp": _moment(delivery), "data": _data(delivery)}
    return json.dumps(document, cls=JSONEncoder, separators=(",", ":"))


def _moment(delivery: Delivery) -> Any:
    event = AnalysisEvent.objects.filter(pk=delivery.event_id).first() if delivery.event_id else None
    return event.at if event else delivery.created_at or timezone.now()


def _data(delivery: Delivery) -> dict[str, Any]:
    if delivery.kind == PING:
        return {"webhook": str(delivery.endpoint_id)}
    analysis = Analysis.objects.filter(pk=delivery.analysis_id, deleted_at=None).first()
    if analysis is None:
        return {"id": str(delivery.analysis_id), "status": delivery.kind.partition(".")[2]}
    return analysis_document(analysis)
