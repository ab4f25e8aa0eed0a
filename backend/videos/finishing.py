"""The end of an upload: what has arrived is held against what was declared, and parts are put together."""

import logging
import uuid

from django.db import transaction
from django.db.models.functions import Now

from backend.accounts.models import User
from backend.gateways.errors import PartsRefused, UploadGone
from backend.gateways.stored import StoredPart, is_checksum
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


def finish_upload(*, owner: User, video_id: uuid.UUID, checksum: str = "") -> Video:
    """Checks that the file has arrived, whole, and has it looked at; doing it twice is harmless.

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
    bucket = media_bucket()  # outside a transaction: S3 may take seconds
    stored = bucket.stored(video.key)
    if stored is None and video.upload_id:
        _put_together(video)
        stored = bucket.stored(video.key)
    if stored is None:
        raise UploadMissing
    if stored.size_bytes != video.size_bytes:
        raise UploadIncomplete(declared=video.size_bytes, stored=stored.size_bytes)
    stated = checksum or video.checksum
    if stated and (stored.checksum_algorithm, stored.checksum) != (video.checksum_algorithm, stated):
        if video.upload_id:  # the parts are no more, so they cannot be sent again
            give_up(video)
        raise UploadChecksumMismatch(video.checksum_algorithm)
    with transaction.atomic():
        changed = Video.objects.filter(pk=video.pk, status=VideoStatus.UPLOADING.value).update(
            status=VideoStatus.PROBING.value,
            uploaded_at=Now(),
            probe_not_before=Now(),
            etag=stored.etag,
            checksum_algorithm=stored.checksum_algorithm,
            checksum=stored.checksum,
        )
        reread(video)
    if changed:
        logger.info("upload finished", extra={"video_id": video.pk, "user_id": owner.pk})
    if video.status == VideoStatus.ABORTED:
        raise UploadAborted
    return video


def _require_part_checksums(video: Video, checksum: str) -> None:
    """Raises RequestInvalid: a slip of the client must not cost it the upload."""
    if not (video.upload_id and video.checksum_algorithm):
        raise RequestInvalid({"checksum": ["The upload was started without part checksums."]})
    if not is_checksum(checksum, video.checksum_algorithm):
        raise RequestInvalid({"checksum": [f"It is no {video.checksum_algorithm}."]})


def _put_together(video: Video) -> None:
    """Raises PartsIncomplete, UploadAborted, VideoNotFound and StorageUnavailable."""
    bucket, size = media_bucket(), bytes_of_part(video)
    arrived: list[StoredPart] = []
    try:
        while page := bucket.parts(
            key=video.key, upload_id=video.upload_id, after=arrived[-1].number if arrived else 0
        ):
            arrived += page
        sizes = {part.number: part.size_bytes for part in arrived}
        count = part_count(video.size_bytes, size)
        lacking = [
            number
            for number in range(1, count + 1)
            if sizes.get(number) != part_size(video.size_bytes, size, number)
        ]
        if lacking:
            raise PartsIncomplete(lacking)
        bucket.complete_parts(key=video.key, upload_id=video.upload_id, parts=arrived[:count])
    except UploadGone:
        # Put together by a request whose answer was lost, or ended by the bucket's rule.
        if bucket.stored(video.key) is None:
            give_up(video)
            raise UploadAborted from None
    except PartsRefused as exc:
        logger.info("parts refused", extra={"video_id": video.pk, "cause": str(exc)})
        raise PartsIncomplete([]) from exc
