"""Uploads that nobody finishes end, and what has arrived of them is removed."""

import logging
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from backend.gateways.s3 import MediaBucket
from backend.videos.models import Video, VideoStatus

logger = logging.getLogger(__name__)

# A URL that was handed out is good after the upload was given up: what comes by it is removed as well.
_MARGIN = timedelta(minutes=10)  # for a part that was on its way when its URL expired, and for clocks


def urls_last() -> timedelta:
    """From when the last one was signed until nothing can come by it any more."""
    return timedelta(seconds=settings.UPLOAD_URL_SECONDS) + _MARGIN


def expire_once(bucket: MediaBucket) -> int:
    """Removes one upload and returns how many it took on. Raises StorageUnavailable; nothing is forgotten then."""
    kept = timedelta(hours=settings.UPLOAD_KEPT_HOURS)
    Video.objects.filter(status=VideoStatus.UPLOADING.value, signed_at__lt=Now() - kept).update(
        status=VideoStatus.ABORTED.value
    )
    with transaction.atomic():
        video = (
            Video.objects.select_for_update(skip_locked=True)
            .filter(status=VideoStatus.ABORTED.value, signed_at__lt=Now() - urls_last())
            .order_by("signed_at", "id")
            .first()
        )
        if video is None:
            return 0
        if video.upload_id:
            bucket.abort_parts(key=video.key, upload_id=video.upload_id)
        bucket.delete(video.key)
        video.delete()
    logger.info("upload removed", extra={"video_id": video.pk, "user_id": video.owner_id})
    return 1
