"""Deleting: out of the owner's sight at once, and soon afterwards out of PostgreSQL and S3."""

import logging
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from backend.gateways.s3 import MediaBucket
from backend.videos.errors import AnalysisNotOver
from backend.videos.models import Analysis, Detection, IdempotencyKey, OwedCall
from backend.videos.owed_calls import owe
from contract.keys import analysis_prefix
from contract.statuses import TERMINAL

logger = logging.getLogger(__name__)

# By then an export that was being sent is finished, and a container that was just cancelled makes nothing more.
REMOVED_AFTER = timedelta(minutes=10)
# And what one made that could not be ended so soon: by then it has found its claim gone.
SWEPT_AFTER = timedelta(days=1)
FRAMES_AT_A_TIME = 2000  # so that no statement takes longer than a statement may


def delete_analysis(*, analysis: Analysis) -> None:
    """Hides it, and owes its removal, together; doing it twice is harmless. Raises AnalysisNotOver."""
    with transaction.atomic():
        deleted = Analysis.objects.filter(pk=analysis.pk, status__in=[status.value for status in TERMINAL]).update(
            deleted_at=Now(), updated_at=Now()
        )
        if not deleted:
            raise AnalysisNotOver(analysis.status)
        Analysis.objects.filter(retry_of=analysis).update(retry_of=None)
        IdempotencyKey.objects.filter(analysis=analysis).delete()
        owe(OwedCall.Kind.REMOVE_ANALYSIS, str(analysis.pk), after=REMOVED_AFTER)
    logger.info("analysis deleted", extra={"analysis_id": analysis.pk, "user_id": analysis.owner_id})


def remove_analysis(subject: str, *, bucket: MediaBucket) -> None:
    """All objects and all rows; called again, it goes on. Raises StorageUnavailable.

    The rows last: as long as there are any, it is known that something is left.
    """
    analysis_id = UUID(subject)
    bucket.delete_under(analysis_prefix(analysis_id))
    detections = Detection.objects.filter(analysis_id=analysis_id)
    last = detections.aggregate(last=Max("frame_index"))["last"]
    for stop in range(FRAMES_AT_A_TIME, (-1 if last is None else last) + FRAMES_AT_A_TIME + 1, FRAMES_AT_A_TIME):
        detections.filter(frame_index__lt=stop).delete()
    Analysis.objects.filter(pk=analysis_id).delete()
    owe(OwedCall.Kind.REMOVE_OBJECT, analysis_prefix(analysis_id), after=SWEPT_AFTER)
    logger.info("analysis removed", extra={"analysis_id": analysis_id})
