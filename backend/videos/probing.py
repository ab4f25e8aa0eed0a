"""Files whose upload is finished are looked at, by any of several workers, until it is known what they are."""

import logging
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings

from backend.gateways.errors import ObjectChanged, StorageUnavailable
from backend.gateways.s3 import MediaBucket
from backend.probe.looking import ProbeFailed, Refusal, VideoFacts, look_at
from backend.videos.claiming import ATTEMPTS, IN_PARTS, claim, put_back, settle
from backend.videos.models import Video, VideoStatus
from contract.errors import ErrorCode

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=3)  # longer than a look takes; a worker that dies meanwhile costs no more


def probe_once(bucket: MediaBucket) -> int:
    """Looks at one file and returns how many it took on. Raises StorageUnavailable; the file is then still due."""
    video = claim(~IN_PARTS, lease=LEASE)
    if video is None:
        return 0
    try:
        found = _looked_at(video, bucket)
    except StorageUnavailable:
        put_back(video, probe_attempts=video.probe_attempts)  # no fault of the file's
        raise
    except ProbeFailed:
        logger.exception("probe failed", extra={"video_id": video.pk, "attempt": video.probe_attempts + 1})
        put_back(video)
        return 1
    outcome: dict[str, Any] = {"status": VideoStatus.READY.value, "facts": None}
    if isinstance(found, Refusal):
        outcome = {"status": VideoStatus.REFUSED.value, "refusal_code": found.code.value}
    elif found is not None:
        outcome["facts"] = found.to_dict()
    if settle(video, **outcome):
        detail = found.detail if isinstance(found, Refusal) else ""
        logger.info("video probed", extra={"video_id": video.pk, **outcome, "detail": detail})
    return 1


def _looked_at(video: Video, bucket: MediaBucket) -> VideoFacts | Refusal | None:
    """Raises StorageUnavailable and ProbeFailed."""
    if video.probe_attempts >= ATTEMPTS:  # whoever tried it came to no end
        return Refusal(code=ErrorCode.INTERNAL, detail=f"{ATTEMPTS} attempts")
    read = partial(_read, bucket, video)
    try:
        return look_at(read, video.size_bytes, memory_mib=settings.PROBE_MEMORY_MIB)
    except ObjectChanged as exc:
        return Refusal(code=ErrorCode.VIDEO_CHANGED, detail=str(exc))


def _read(bucket: MediaBucket, video: Video, offset: int, length: int) -> bytes:
    return bucket.read(key=video.key, etag=video.etag, offset=offset, length=length)
