"""The end of an upload: what has arrived is held against what was declared, and handed to the worker."""

import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from backend.accounts.models import User
from backend.gateways.errors import StorageUnavailable, UploadGone
from backend.gateways.stored import StoredPart, checksum_of_parts, is_checksum
from backend.videos.errors import (
    PartsIncomplete,
    RequestInvalid,
    UploadAborted,
    UploadChecksumMismatch,
    UploadIncomplete,
    UploadMissing,
)
from backend.videos.models import Video, VideoStatus
from backend.videos.uploads import bytes_of_part, give_up, owned_video, reread
from backend.videos.wiring import media_bucket
from contract.uploads import part_count, part_size

logger = logging.getLogger(__name__)

LISTING_SECONDS = 10  # 10,000 parts take ten calls; whoever waits for a request does not wait for long


def finish_upload(*, owner: User, video_id: uuid.UUID, checksum: str = "") -> Video:
    """Checks that the file has arrived, whole, and has it put together and looked at; doing it twice is harmless.

    `checksum` is that of all parts' checksums together. Raises VideoNotFound, UploadMissing, UploadIncomplete,
    PartsIncomplete, UploadChecksumMismatch, UploadAborted, RequestInvalid, StorageUnavailable.
    """
    video = owned_video(owner, video_id)
    if checksum:
        _require_part_checksums(video, checksum)
    if video.status == VideoStatus.ABORTED:
        raise UploadAborted
    if video.status != VideoStatus.UPLOADING:
        return video
    # Outside a transaction: S3 may take seconds.
    arrived = _parts_arrived(video, checksum) if video.upload_id else _object_arrived(video)
    with transaction.atomic():
        changed = Video.objects.filter(pk=video.pk, status=VideoStatus.UPLOADING.value).update(
            status=VideoStatus.PROBING.value, uploaded_at=Now(), probe_not_before=Now(), **arrived
        )
        reread(video)
    if changed:
        logger.info("upload finished", extra={"video_id": video.pk, "user_id": owner.pk})
    if video.status == VideoStatus.ABORTED:
        raise UploadAborted
    return video


def _object_arrived(video: Video) -> dict[str, Any]:
    """What is now known of the file. Raises UploadMissing, UploadIncomplete, UploadChecksumMismatch."""
    stored = media_bucket().stored(video.key)
    if stored is None:
        raise UploadMissing
    if stored.size_bytes != video.size_bytes:
        raise UploadIncomplete(declared=video.size_bytes, stored=stored.size_bytes)
    stated = (video.checksum_algorithm, video.checksum)
    if video.checksum and (stored.checksum_algorithm, stored.checksum) != stated:
        raise UploadChecksumMismatch(video.checksum_algorithm)
    return {
        "etag": stored.etag,
        "checksum_algorithm": stored.checksum_algorithm,
        "checksum": stored.checksum,
    }


def _require_part_checksums(video: Video, checksum: str) -> None:
    """Raises RequestInvalid: a slip of the client must not cost it the upload."""
    if not (video.upload_id and video.checksum_algorithm):
        raise RequestInvalid({"checksum": ["The upload was started without part checksums."]})
    if not is_checksum(checksum, video.checksum_algorithm):
        raise RequestInvalid({"checksum": [f"It is no {video.checksum_algorithm}."]})


def _parts_arrived(video: Video, checksum: str) -> dict[str, Any]:
    """What the worker holds the file against that it has put together. Raises what `finish_upload` does."""
    try:
        parts = _listed(video)
    except UploadGone:
        # The bucket's rule has ended it, unless a request of an earlier release has put it together.
        if media_bucket().stored(video.key) is None:
            give_up(video)
            raise UploadAborted from None
        return {"checksum": checksum}
    sizes = {part.number: part.size_bytes for part in parts}
    size = bytes_of_part(video)
    wanted = range(1, part_count(video.size_bytes, size) + 1)
    lacking = [number for number in wanted if sizes.get(number) != part_size(video.size_bytes, size, number)]
    if lacking:
        raise PartsIncomplete(lacking)
    if checksum and checksum_of_parts(parts, video.checksum_algorithm) not in (checksum, None):
        raise UploadChecksumMismatch(video.checksum_algorithm)
    return {"checksum": checksum}


def _listed(video: Video) -> Sequence[StoredPart]:
    """Raises UploadGone and StorageUnavailable."""
    end = time.monotonic() + LISTING_SECONDS
    parts = []
    for part in media_bucket().all_parts(key=video.key, upload_id=video.upload_id):
        parts.append(part)
        if time.monotonic() > end:
            raise StorageUnavailable(f"listing {len(parts)} parts took {LISTING_SECONDS} seconds")
    return parts
