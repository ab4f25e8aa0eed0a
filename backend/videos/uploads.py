"""Uploads: started, signed, listed, aborted. The bytes go from the client to S3 and never come here."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from backend.accounts.models import User
from backend.gateways.errors import StorageUnavailable, UploadGone
from backend.gateways.stored import Checksum, PresignedUpload, StoredPart, is_checksum
from backend.plans.limits import hold_account, require_room, require_size
from backend.videos.errors import (
    FileEmpty,
    IdempotencyKeyReused,
    RequestInvalid,
    UploadAborted,
    UploadNotInParts,
    UploadOver,
    VideoNotFound,
)
from backend.videos.idempotency import checked_key
from backend.videos.models import Video, VideoStatus
from backend.videos.wiring import media_bucket
from contract.uploads import part_bytes, part_count, part_size

logger = logging.getLogger(__name__)

SIGNED_AT_ONCE = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class StartedUpload:
    video: Video
    upload: PresignedUpload | None  # None where it is sent in parts, each signed on its own, or is over
    replayed: bool = False


def start_upload(
    *,
    owner: User,
    filename: str,
    size_bytes: int,
    content_type: str,
    multipart: bool = False,
    checksum_algorithm: str = "",
    checksum: str = "",
    idempotency_key: str | None = None,
) -> StartedUpload:
    """A video row, and the URL its file must be sent to, or a multipart upload whose parts can be signed.

    Raises FileEmpty, FileTooLarge, StorageFull, IdempotencyKeyInvalid, IdempotencyKeyReused, StorageUnavailable.
    """
    if not size_bytes:
        raise FileEmpty
    require_size(owner, size_bytes)
    if idempotency_key is not None:
        checked_key(idempotency_key)
    video = Video(
        owner=owner,
        filename=filename,
        size_bytes=size_bytes,
        content_type=content_type,
        part_bytes=part_bytes(size_bytes) if multipart else None,
        checksum_algorithm=checksum_algorithm,
        checksum=checksum,
        start_key=idempotency_key,
    )
    if (earlier := _started_before(video)) is not None:
        return _again(earlier)
    require_room(owner, size_bytes)  # or S3 would be asked for nothing
    if multipart:
        video.upload_id = media_bucket().begin_parts(
            key=video.key, content_type=content_type, checksum_algorithm=checksum_algorithm
        )
    upload = _url_of(video)
    with transaction.atomic():  # read before the commit: what fails after it has failed and yet been done
        hold_account(owner)
        # The same request may have been faster, or others have taken the room. What S3 keeps of this one is
        # nothing, and ends by the bucket's rule.
        if (earlier := _started_before(video)) is not None:
            return _again(earlier)
        require_room(owner, size_bytes)
        video.save(force_insert=True)
        video.refresh_from_db(fields=["created_at"])
    logger.info("upload started", extra={"video_id": video.pk, "user_id": owner.pk, "bytes": size_bytes})
    return StartedUpload(video=video, upload=upload)


def sign_upload(*, owner: User, video_id: uuid.UUID) -> PresignedUpload:
    """A new URL for a file that is sent in one piece.

    Raises VideoNotFound, UploadOver, UploadAborted, RequestInvalid, StorageUnavailable.
    """
    video = _unfinished(owner, video_id)
    if video.upload_id:
        raise RequestInvalid({"parts": ["Name the parts that are to be signed."]})
    _touch(video)
    upload = _url_of(video)
    assert upload is not None
    return upload


def sign_parts(*, owner: User, video_id: uuid.UUID, checksums: Mapping[int, str]) -> Mapping[int, PresignedUpload]:
    """A URL for each part; a part may be signed and sent as often as it takes.

    `checksums` is by number of the part, with an empty value where the upload was started without an algorithm.
    Raises VideoNotFound, UploadOver, UploadAborted, UploadNotInParts, RequestInvalid, StorageUnavailable.
    """
    video = _in_parts(owner, video_id)
    count = part_count(video.size_bytes, bytes_of_part(video))
    beyond = [number for number in checksums if not 1 <= number <= count]
    if beyond:
        raise RequestInvalid({"parts": [f"This file has the parts 1 to {count}."]})
    algorithm = video.checksum_algorithm
    if algorithm and not all(is_checksum(value, algorithm) for value in checksums.values()):
        raise RequestInvalid({"parts": [f"Each needs its {algorithm}, as the upload was started."]})
    if not algorithm and any(checksums.values()):
        raise RequestInvalid({"parts": ["The upload was started without part checksums."]})
    _touch(video)
    bucket = media_bucket()
    return {
        number: bucket.presigned_part(
            key=video.key,
            upload_id=video.upload_id,
            number=number,
            size_bytes=part_size(video.size_bytes, bytes_of_part(video), number),
            seconds=settings.UPLOAD_URL_SECONDS,
            checksum=_checksum(video, value),
        )
        for number, value in checksums.items()
    }


def parts_of(*, owner: User, video_id: uuid.UUID, after: int = 0) -> Sequence[StoredPart]:
    """What has arrived behind part `after`, up to PARTS_LISTED.

    Raises VideoNotFound, UploadOver, UploadAborted, UploadNotInParts, StorageUnavailable.
    """
    video = _in_parts(owner, video_id)
    try:
        return media_bucket().parts(key=video.key, upload_id=video.upload_id, after=after)
    except UploadGone:
        raise UploadOver(video.status) from None


def abort_upload(*, owner: User, video_id: uuid.UUID) -> Video:
    """Gives up an upload; doing it twice is harmless. Raises VideoNotFound and UploadOver.

    URLs that were handed out stay good for a while, so the worker removes what may yet arrive.
    """
    video = owned_video(owner, video_id)
    if video.status == VideoStatus.UPLOADING:
        give_up(video)
    if video.status != VideoStatus.ABORTED:
        raise UploadOver(video.status)
    return video


def give_up(video: Video) -> None:
    """The worker removes what S3 cannot be told to remove now. Raises VideoNotFound."""
    changed = Video.objects.filter(pk=video.pk, status=VideoStatus.UPLOADING.value).update(
        status=VideoStatus.ABORTED.value
    )
    reread(video)
    if not changed:
        return
    logger.info("upload aborted", extra={"video_id": video.pk, "user_id": video.owner_id})
    if video.upload_id:
        try:
            media_bucket().abort_parts(key=video.key, upload_id=video.upload_id)
        except StorageUnavailable:
            logger.warning("parts are left to the worker", extra={"video_id": video.pk}, exc_info=True)


def _started_before(video: Video) -> Video | None:
    """Raises IdempotencyKeyReused."""
    if video.start_key is None:
        return None
    earlier = Video.objects.filter(owner=video.owner, start_key=video.start_key).first()
    names = ("filename", "size_bytes", "content_type", "part_bytes")
    if earlier is not None and any(getattr(earlier, name) != getattr(video, name) for name in names):
        raise IdempotencyKeyReused
    return earlier


def _again(video: Video) -> StartedUpload:
    if video.status != VideoStatus.UPLOADING:
        return StartedUpload(video=video, upload=None, replayed=True)
    _touch(video)
    return StartedUpload(video=video, upload=_url_of(video), replayed=True)


def _url_of(video: Video) -> PresignedUpload | None:
    if video.upload_id:
        return None
    return media_bucket().presigned_upload(
        key=video.key,
        size_bytes=video.size_bytes,
        content_type=video.content_type,
        seconds=settings.UPLOAD_URL_SECONDS,
        checksum=_checksum(video, video.checksum),
    )


def _checksum(video: Video, value: str) -> Checksum | None:
    return Checksum(algorithm=video.checksum_algorithm, value=value) if value else None


def _touch(video: Video) -> None:
    """A URL is handed out now. Raises UploadOver where the upload has ended meanwhile, and VideoNotFound."""
    if not Video.objects.filter(pk=video.pk, status=VideoStatus.UPLOADING.value).update(signed_at=Now()):
        reread(video)
        raise UploadOver(video.status)


def bytes_of_part(video: Video) -> int:
    """Of every part but the last, of an upload in parts."""
    assert video.part_bytes is not None
    return video.part_bytes


def _in_parts(owner: User, video_id: uuid.UUID) -> Video:
    video = _unfinished(owner, video_id)
    if not video.upload_id:
        raise UploadNotInParts
    return video


def _unfinished(owner: User, video_id: uuid.UUID) -> Video:
    video = owned_video(owner, video_id)
    if video.status == VideoStatus.ABORTED:
        raise UploadAborted
    if video.status != VideoStatus.UPLOADING:
        raise UploadOver(video.status)
    return video


def reread(video: Video) -> None:
    """As it stands now. Raises VideoNotFound: what its owner has deleted meanwhile is removed within seconds."""
    try:
        video.refresh_from_db()
    except Video.DoesNotExist:
        raise VideoNotFound from None


def owned_video(owner: User, video_id: uuid.UUID) -> Video:
    """Raises VideoNotFound."""
    video = Video.objects.owned_by(owner).filter(pk=video_id).first()
    if video is None:
        raise VideoNotFound
    return video
