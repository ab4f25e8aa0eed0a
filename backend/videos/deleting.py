"""Deleting: out of the owner's sight at once, and soon afterwards out of PostgreSQL and S3."""

import logging
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Min
from django.db.models.functions import Now
from django.utils import timezone

from backend.gateways.s3 import MediaBucket
from backend.plans.limits import hold_account
from backend.videos.errors import AnalysisNotOver, VideoInUse
from backend.videos.expiring import urls_last
from backend.videos.models import (
    ACTIVE_STATUSES,
    Analysis,
    Detection,
    IdempotencyKey,
    OwedCall,
    Video,
)
from backend.videos.owed_calls import owe
from backend.videos.uploads import give_up
from contract.keys import analysis_prefix
from contract.statuses import TERMINAL

logger = logging.getLogger(__name__)

# By then an export that was being sent is finished, and a container that was just cancelled makes nothing more.
REMOVED_AFTER = timedelta(minutes=10)
# And what one made that could not be ended so soon: by then it has found its claim gone.
SWEPT_AFTER = timedelta(days=1)
FRAMES_AT_A_TIME = 2000  # so that no statement takes longer than a statement may
LOOKS_AGAIN_AFTER = timedelta(seconds=10)  # a video, whether its analyses are gone


def delete_analysis(*, analysis: Analysis) -> None:
    """Hides it, and owes its removal, together; doing it twice is harmless. Raises AnalysisNotOver."""
    with transaction.atomic():
        hold_account(analysis.owner)
        deleted = Analysis.objects.filter(pk=analysis.pk, status__in=[status.value for status in TERMINAL]).update(
            deleted_at=Now(), updated_at=Now()
        )
        if not deleted:
            raise AnalysisNotOver(analysis.status)
        # Another try may be under way: whoever ends it holds its row and wants the account. One that is held
        # forgets this one when it is removed.
        tries = Analysis.objects.select_for_update(skip_locked=True, no_key=True).filter(retry_of=analysis)
        Analysis.objects.filter(pk__in=[another.pk for another in tries]).update(retry_of=None)
        IdempotencyKey.objects.filter(analysis=analysis).delete()
        owe(OwedCall.Kind.REMOVE_ANALYSIS, str(analysis.pk), after=REMOVED_AFTER)
    logger.info("analysis deleted", extra={"analysis_id": analysis.pk, "user_id": analysis.owner_id})


def delete_video(*, video: Video) -> None:
    """Hides it and its analyses, and owes their removal; doing it twice is harmless.

    Raises VideoInUse, and VideoNotFound where it has been removed meanwhile.
    """
    give_up(video)
    analyses = Analysis.objects.filter(video=video)
    with transaction.atomic():
        hold_account(video.owner)  # nobody asks for an analysis of it meanwhile
        if analyses.filter(status__in=ACTIVE_STATUSES).exists():
            raise VideoInUse
        # Whoever sends the request again that started it wants a new one.
        Video.objects.filter(pk=video.pk, deleted_at=None).update(deleted_at=Now(), start_key=None)
        analyses.filter(deleted_at=None).update(deleted_at=Now(), updated_at=Now())
        IdempotencyKey.objects.filter(analysis__in=analyses).delete()
        removed = [str(analysis_id) for analysis_id in analyses.values_list("pk", flat=True)]
        owe(OwedCall.Kind.REMOVE_ANALYSIS, *removed, after=REMOVED_AFTER)
        owe(OwedCall.Kind.REMOVE_VIDEO, str(video.pk), after=_removed_after(video, analysed=bool(removed)))
    logger.info("video deleted", extra={"video_id": video.pk, "user_id": video.owner_id})


def _removed_after(video: Video, *, analysed: bool) -> timedelta:
    """Parts cannot be sent once they were put together or given up; a file in one piece can, by its URL."""
    sendable = timedelta() if video.upload_id else video.signed_at + urls_last() - timezone.now()
    return max(sendable, REMOVED_AFTER if analysed else timedelta())


def remove_video(subject: str, *, bucket: MediaBucket) -> timedelta | None:
    """Its object and its row, once its analyses are gone, each owed by itself. Raises StorageUnavailable."""
    video = Video.objects.filter(pk=UUID(subject)).first()
    if video is None:
        return None
    if video.analyses.exists():
        return LOOKS_AGAIN_AFTER
    if video.upload_id and not video.etag:
        bucket.abort_parts(key=video.key, upload_id=video.upload_id)
        # A worker that is putting its parts together may be faster than that, and slower than what follows.
        owe(OwedCall.Kind.REMOVE_OBJECT, video.key, after=SWEPT_AFTER)
    bucket.delete(video.key)
    video.delete()
    logger.info("video removed", extra={"video_id": video.pk, "user_id": video.owner_id})
    return None


def remove_analysis(subject: str, *, bucket: MediaBucket) -> timedelta | None:
    """All objects and one slice of the detections; with the last of them, all rows. Raises StorageUnavailable.

    One slice at a time, since there may be more of them than a worker can delete before it is stopped. The rows
    last: as long as there are any, it is known that something is left.
    """
    analysis_id = UUID(subject)
    bucket.delete_under(analysis_prefix(analysis_id))
    detections = Detection.objects.filter(analysis_id=analysis_id)
    first = detections.aggregate(first=Min("frame_index"))["first"]
    if first is not None:
        detections.filter(frame_index__lt=first + FRAMES_AT_A_TIME).delete()
        if detections.exists():
            return timedelta()
    Analysis.objects.filter(pk=analysis_id).delete()
    owe(OwedCall.Kind.REMOVE_OBJECT, analysis_prefix(analysis_id), after=SWEPT_AFTER)
    logger.info("analysis removed", extra={"analysis_id": analysis_id})
    return None
