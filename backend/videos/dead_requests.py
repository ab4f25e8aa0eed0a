"""Requests of which no job was made: kept in PostgreSQL, and their analyses closed."""

import json
import logging
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from backend.videos.failing import tell_of_failure
from backend.videos.models import Analysis, AnalysisEvent, DeadRequest
from contract.errors import FAILURES, ErrorCode
from contract.statuses import AnalysisStatus

logger = logging.getLogger(__name__)


def bury_request(*, message_id: str, body: str, fault: str = "") -> None:
    """Keeps the request and closes its analysis, together; doing it twice is harmless.

    `fault` is why the Lambda refused it; a dead letter has none, since it was merely delivered too often.

    Only `queued` is closed: with any other status a job has taken the request after all, and its own events tell
    how it ends. Nor does a request for a Spot machine count any more once On-Demand was asked for.
    """
    named, on_demand = _asked_for(body)
    failure = FAILURES[ErrorCode.SUBMISSION_FAILED]
    with transaction.atomic():
        analysis = Analysis.objects.filter(pk=named).first() if named else None
        DeadRequest.objects.get_or_create(
            message_id=message_id, defaults={"analysis": analysis, "body": body, "fault": fault}
        )
        closed = Analysis.objects.filter(pk=named, status=AnalysisStatus.QUEUED.value, on_demand=on_demand).update(
            status=AnalysisStatus.FAILED.value,
            error_code=ErrorCode.SUBMISSION_FAILED.value,
            error_message=failure.sentence,
            error_retryable=failure.retryable,
            finished_at=Now(),
            updated_at=Now(),
        )
        if named and closed:
            tell_of_failure(analysis_id=named, code=ErrorCode.SUBMISSION_FAILED)
            AnalysisEvent.objects.create(
                analysis=analysis,
                status=AnalysisStatus.FAILED.value,
                source="backend",
                detail={
                    "code": ErrorCode.SUBMISSION_FAILED.value,
                    "message_id": message_id,
                    **({"reason": fault} if fault else {}),
                },
            )
    logger.error(
        "request refused" if fault else "request ended as a dead letter",
        extra={"message_id": message_id, "analysis_id": named, "fault": fault},
    )


def _asked_for(body: str) -> tuple[UUID | None, bool]:
    """Which analysis, and whether On-Demand.

    Also of a request that `AnalysisRequest` does not understand, which is one way to become a dead letter.
    """
    try:
        document = json.loads(body)
        return UUID(document["analysis_id"]), document.get("on_demand") is True
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None, False
