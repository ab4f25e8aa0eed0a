"""An uploaded file is in one worker's hands at a time, until it is known what it is."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from backend.videos.models import Video, VideoStatus

ATTEMPTS = 5  # that were begun; after as many one file must not keep the workers from all others
AGAIN_AFTER = timedelta(seconds=10)

IN_PARTS = ~Q(upload_id="") & Q(etag="")  # S3 has not made one object of them, as far as is known


def claim(which: Q, *, lease: timedelta) -> Video | None:
    """Takes one that is due, or gives None; unheard of, it is due again after `lease`.

    The video is as it was before: `probe_attempts` does not count this attempt.
    """
    with transaction.atomic():
        # Locked rows are being claimed by another worker.
        video = (
            Video.objects.select_for_update(skip_locked=True)
            .filter(which, status=VideoStatus.PROBING.value, probe_not_before__lte=Now())
            .order_by("probe_not_before", "id")
            .first()
        )
        if video is not None:
            Video.objects.filter(pk=video.pk).update(
                probe_not_before=Now() + lease, probe_attempts=F("probe_attempts") + 1
            )
    return video


def put_back(video: Video, *, after: timedelta = AGAIN_AFTER, **columns: Any) -> None:
    """It is due again after that long; nothing happens where it is settled or gone."""
    settle(video, probe_not_before=Now() + after, **columns)


def settle(video: Video, **columns: Any) -> bool:
    """False where another worker was faster, or the video is gone."""
    return bool(Video.objects.filter(pk=video.pk, status=VideoStatus.PROBING.value).update(**columns))
