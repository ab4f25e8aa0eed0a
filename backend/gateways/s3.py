"""The media bucket. Videos never pass through the backend: browsers and jobs use presigned URLs and S3 itself."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from backend.gateways.clients import client
from backend.gateways.errors import ObjectChanged, PartsRefused, StorageUnavailable, UploadGone
from backend.gateways.stored import CHECKSUM_BYTES, Checksum, PresignedUpload, StoredObject, StoredPart

PARTS_LISTED = 1000  # by one call; S3 gives no more
# Putting many parts together takes S3 a while; meanwhile it sends blanks, so that this is for a whole silence:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
_COMPLETING_SECONDS = 60
# Signed URLs then name the bucket's own region. Else they have S3's global name, which redirects for a new bucket,
# and a browser follows no redirect of a request to another origin: https://github.com/boto/boto3/issues/421
_SIGNED: dict[str, Any] = {"signature_version": "s3v4", "s3": {"addressing_style": "virtual"}}


class MediaBucket:
    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def _client(self) -> Any:
        # Without "when_required", boto3 signs a checksum into the URL that a browser cannot know.
        return client("s3", **_SIGNED, request_checksum_calculation="when_required")

    @cached_property
    def _patient_client(self) -> Any:
        return client("s3", read_seconds=_COMPLETING_SECONDS, **_SIGNED)

    def presigned_upload(
        self, *, key: str, size_bytes: int, content_type: str, seconds: int, checksum: Checksum | None = None
    ) -> PresignedUpload:
        """Good for one object of exactly this size, type and checksum. Raises StorageUnavailable."""
        parameters: dict[str, Any] = {"Key": key, "ContentType": content_type, "ContentLength": size_bytes}
        headers = {"Content-Type": content_type}
        if checksum is not None:
            parameters |= {
                "ChecksumAlgorithm": checksum.algorithm,
                f"Checksum{checksum.algorithm}": checksum.value,
            }
            headers |= {**checksum.headers, "x-amz-sdk-checksum-algorithm": checksum.algorithm}
        return self._presigned_put("put_object", headers, seconds, parameters)

    def presigned_part(
        self,
        *,
        key: str,
        upload_id: str,
        number: int,
        size_bytes: int,
        seconds: int,
        checksum: Checksum | None = None,
    ) -> PresignedUpload:
        """Good for one part of exactly this size and checksum. Raises StorageUnavailable."""
        parameters: dict[str, Any] = {
            "Key": key,
            "UploadId": upload_id,
            "PartNumber": number,
            "ContentLength": size_bytes,
        }
        if checksum is not None:
            parameters[f"Checksum{checksum.algorithm}"] = checksum.value
        return self._presigned_put("upload_part", checksum.headers if checksum else {}, seconds, parameters)

    def begin_parts(self, *, key: str, content_type: str, checksum_algorithm: str = "") -> str:
        """Gives the id of a new multipart upload. Raises StorageUnavailable."""
        asked = (
            {"ChecksumAlgorithm": checksum_algorithm, "ChecksumType": "COMPOSITE"} if checksum_algorithm else {}
        )
        with _translated(f"CreateMultipartUpload in {self.name}"):
            reply = self._client.create_multipart_upload(
                Bucket=self.name, Key=key, ContentType=content_type, **asked
            )
        return str(reply["UploadId"])

    def parts(self, *, key: str, upload_id: str, after: int = 0) -> Sequence[StoredPart]:
        """What has arrived of the parts behind number `after`, in order, up to PARTS_LISTED of them.

        Raises UploadGone and StorageUnavailable.
        """
        with _translated(f"ListParts in {self.name}"):
            reply = self._client.list_parts(
                Bucket=self.name, Key=key, UploadId=upload_id, PartNumberMarker=after, MaxParts=PARTS_LISTED
            )
        return [
            StoredPart(
                number=part["PartNumber"],
                size_bytes=part["Size"],
                etag=part["ETag"],
                checksums={name: part[f"Checksum{name}"] for name in CHECKSUM_BYTES if f"Checksum{name}" in part},
            )
            for part in reply.get("Parts", ())
        ]

    def all_parts(self, *, key: str, upload_id: str) -> Iterator[StoredPart]:
        """One after the other; a call for each PARTS_LISTED of them. Raises UploadGone and StorageUnavailable."""
        after = 0
        while page := self.parts(key=key, upload_id=upload_id, after=after):
            yield from page
            after = page[-1].number

    def complete_parts(self, *, key: str, upload_id: str, parts: Sequence[StoredPart]) -> None:
        """The parts become the object, in minutes at most. Raises UploadGone, PartsRefused, StorageUnavailable."""
        listed = [
            {
                "PartNumber": part.number,
                "ETag": part.etag,
                **{f"Checksum{name}": value for name, value in part.checksums.items()},
            }
            for part in parts
        ]
        with _translated(f"CompleteMultipartUpload in {self.name}"):
            self._patient_client.complete_multipart_upload(
                Bucket=self.name, Key=key, UploadId=upload_id, MultipartUpload={"Parts": listed}
            )

    def abort_parts(self, *, key: str, upload_id: str) -> None:
        """What has arrived is thrown away; doing it twice is harmless. Raises StorageUnavailable."""
        try:
            with _translated(f"AbortMultipartUpload in {self.name}"):
                self._client.abort_multipart_upload(Bucket=self.name, Key=key, UploadId=upload_id)
        except UploadGone:
            return

    def presigned_download(self, *, key: str, seconds: int, content_type: str) -> str:
        """Raises StorageUnavailable without credentials."""
        return self._presigned("get_object", seconds=seconds, Key=key, ResponseContentType=content_type)

    def stored(self, key: str) -> StoredObject | None:
        """None when there is no such object. Raises StorageUnavailable.

        S3 says 403 instead of 404 to those who may not list the bucket, so `s3:ListBucket` must be granted.
        """
        try:
            found = self._client.head_object(Bucket=self.name, Key=key, ChecksumMode="ENABLED")
        except ClientError as exc:
            if _status(exc) != HTTPStatus.NOT_FOUND:
                raise StorageUnavailable(f"HeadObject in {self.name}: {exc}") from exc
        except BotoCoreError as exc:
            raise StorageUnavailable(f"HeadObject in {self.name}: {exc}") from exc
        else:
            algorithm = next((name for name in CHECKSUM_BYTES if found.get(f"Checksum{name}")), "")
            return StoredObject(
                size_bytes=found["ContentLength"],
                etag=found["ETag"],
                checksum_algorithm=algorithm,
                checksum=found.get(f"Checksum{algorithm}", "").partition("-")[0],
            )
        # The answer to HeadObject has no body, so it does not say whether the object or the bucket is missing.
        with _translated(f"HeadBucket of {self.name}"):
            self._client.head_bucket(Bucket=self.name)
        return None

    def read(self, *, key: str, etag: str, offset: int, length: int) -> bytes:
        """`length` bytes of the object, or fewer at its end; an empty `etag` takes whatever is there.

        Raises ObjectChanged and StorageUnavailable.
        """
        pinned = {"IfMatch": etag} if etag else {}
        with _translated(f"GetObject in {self.name}"):
            reply = self._client.get_object(
                Bucket=self.name, Key=key, Range=f"bytes={offset}-{offset + length - 1}", **pinned
            )
            content: bytes = reply["Body"].read(length)
        return content

    def delete(self, key: str) -> None:
        """Raises StorageUnavailable; an object that does not exist is no failure."""
        with _translated(f"DeleteObject in {self.name}"):
            self._client.delete_object(Bucket=self.name, Key=key)

    def delete_under(self, prefix: str) -> None:
        """Deletes every object whose key starts so. Raises StorageUnavailable, with some of them deleted."""
        with _translated(f"objects under {prefix} in {self.name}"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                keys = [{"Key": found["Key"]} for found in page.get("Contents", ())]
                if not keys:
                    continue
                # A page has as many keys as one call deletes, 1000.
                reply = self._client.delete_objects(Bucket=self.name, Delete={"Objects": keys, "Quiet": True})
                for fault in reply.get("Errors", ()):
                    raise StorageUnavailable(f"DeleteObjects in {self.name}: {fault.get('Code')} {fault['Key']}")

    @cached_property
    def origin(self) -> str:
        """Scheme, host and port of the presigned URLs. Raises StorageUnavailable without credentials."""
        parts = urlsplit(self._presigned("get_object", seconds=60, Key="origin"))
        return f"{parts.scheme}://{parts.netloc}"

    def _presigned_put(
        self, operation: str, headers: Mapping[str, str], seconds: int, parameters: Mapping[str, Any]
    ) -> PresignedUpload:
        expires_at = datetime.now(tz=UTC) + timedelta(seconds=seconds)
        url = self._presigned(operation, seconds=seconds, **parameters)
        # Content-Length is signed as well; every HTTP client sends it, and browsers forbid setting it.
        return PresignedUpload(method="PUT", url=url, headers=headers, expires_at=expires_at)

    def _presigned(self, operation: str, *, seconds: int, **parameters: Any) -> str:
        try:
            url: str = self._client.generate_presigned_url(
                operation, Params={"Bucket": self.name, **parameters}, ExpiresIn=seconds
            )
        except BotoCoreError as exc:
            raise StorageUnavailable(f"no URL for {self.name} can be signed") from exc
        return url


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        if code == "NoSuchUpload":
            raise UploadGone(what) from exc
        if code in ("InvalidPart", "InvalidPartOrder", "EntityTooSmall", "BadDigest"):
            raise PartsRefused(f"{what}: {exc}") from exc
        if code in ("NoSuchKey", "PreconditionFailed", "InvalidRange"):
            raise ObjectChanged(f"{what}: {exc}") from exc
        raise StorageUnavailable(f"{what}: {exc}") from exc
    except BotoCoreError as exc:
        raise StorageUnavailable(f"{what}: {exc}") from exc


def _status(exc: ClientError) -> int:
    return int(exc.response["ResponseMetadata"]["HTTPStatusCode"])
