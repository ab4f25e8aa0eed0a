"""Parts that have all arrived become one object, by any of several workers: no request can wait for it."""

import contextlib
import logging
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from backend.gateways.errors import PartsRefused, StorageUnavailable, UploadGone
from backend.gateways.s3 import MediaBucket
from backend.gateways.stored import StoredObject
from backend.videos.claiming import AGAIN_AFTER, ATTEMPTS, IN_PARTS, claim, put_back, settle
from backend.videos.models import Video, VideoStatus
from contract.errors import ErrorCode

logger = logging.getLogger(__name__)

# Longer than S3 takes, which is minutes at most; a worker that dies meanwhile costs no more.
LEASE = timedelta(minutes=10)


def assemble_once(bucket: MediaBucket) -> int:
    """Has S3 put one file together and returns how many it took on; the file is then due to be looked at.

    Doing it twice is harmless. Raises StorageUnavailable; it is then still due.
    """
    video = claim(IN_PARTS & Q(deleted_at=None), lease=LEASE)
    if video is None:
        return 0
    known = {"video_id": video.pk, "attempt": video.probe_attempts + 1}
    if video.probe_attempts >= ATTEMPTS:
        if settle(video, **_refused(ErrorCode.INTERNAL)):
            logger.error("parts given up", extra=known)
        return 1
    try:
        stored = _put_together(video, bucket)
    except StorageUnavailable:
        put_back(video, probe_attempts=video.probe_attempts)  # no fault of the file's
        raise
    except (UploadGone, PartsRefused) as exc:
        # A part was sent once more meanwhile, or S3 is still at it after a request that was given up, which can
        # take it minutes: the waits come to five.
        logger.warning("parts not put together", extra={**known, "cause": str(exc)})
        put_back(video, after=AGAIN_AFTER * 2**video.probe_attempts)
        return 1
    columns: dict[str, Any] = {
        "etag": stored.etag,
        "checksum_algorithm": stored.checksum_algorithm,
        "checksum": stored.checksum,
        "probe_attempts": 0,
        "probe_not_before": Now(),
    }
    stated = (video.checksum_algorithm, video.checksum)
    changed = video.checksum and (stored.checksum_algorithm, stored.checksum) != stated
    if changed or stored.size_bytes != video.size_bytes:
        columns |= _refused(ErrorCode.VIDEO_CHANGED)
    if settle(video, **columns):
        logger.info("parts put together", extra={**known, "refusal_code": columns.get("refusal_code", "")})
    return 1


def _put_together(video: Video, bucket: MediaBucket) -> StoredObject:
    """Raises UploadGone, PartsRefused and StorageUnavailable."""
    stored = bucket.stored(video.key)
    if stored is None:
        # UploadGone: they are one object already, by another worker or by a request of ours whose answer was lost.
        with contextlib.suppress(UploadGone):
            parts = list(bucket.all_parts(key=video.key, upload_id=video.upload_id))
            bucket.complete_parts(key=video.key, upload_id=video.upload_id, parts=parts)
        stored = bucket.stored(video.key)
    if stored is None:
        raise UploadGone(f"neither parts nor object of {video.key}")
    return stored


def _refused(code: ErrorCode) -> dict[str, Any]:
    return {"status": VideoStatus.REFUSED.value, "refusal_code": code.value}
