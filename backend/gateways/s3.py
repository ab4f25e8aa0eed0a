"""The media bucket. Videos never pass through the backend: browsers and jobs use presigned URLs and S3 itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from backend.gateways.clients import client
from backend.gateways.errors import StorageUnavailable


@dataclass(frozen=True, kw_only=True, slots=True)
class PresignedUpload:
    method: str
    url: str
    headers: Mapping[str, str]  # the sender must send exactly these
    expires_at: datetime


class MediaBucket:
    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def _client(self) -> Any:
        # Without "when_required", boto3 signs a checksum into the URL that a browser cannot know.
        return client("s3", signature_version="s3v4", request_checksum_calculation="when_required")

    def presigned_upload(self, *, key: str, size_bytes: int, content_type: str, seconds: int) -> PresignedUpload:
        """Good for one object of exactly this size and type. Raises StorageUnavailable without credentials."""
        expires_at = datetime.now(tz=UTC) + timedelta(seconds=seconds)
        url = self._presigned(
            "put_object", seconds=seconds, Key=key, ContentType=content_type, ContentLength=size_bytes
        )
        # Content-Length is signed as well; every HTTP client sends it, and browsers forbid setting it.
        return PresignedUpload(
            method="PUT", url=url, headers={"Content-Type": content_type}, expires_at=expires_at
        )

    def presigned_download(self, *, key: str, seconds: int, content_type: str) -> str:
        """Raises StorageUnavailable without credentials."""
        return self._presigned("get_object", seconds=seconds, Key=key, ResponseContentType=content_type)

    def size_of(self, key: str) -> int | None:
        """Bytes of the object, or None when there is none. Raises StorageUnavailable.

        S3 says 403 instead of 404 to those who may not list the bucket, so `s3:ListBucket` must be granted.
        """
        try:
            return int(self._client.head_object(Bucket=self.name, Key=key)["ContentLength"])
        except ClientError as exc:
            if _status(exc) != HTTPStatus.NOT_FOUND:
                raise StorageUnavailable(f"HeadObject in {self.name}: {exc}") from exc
        except BotoCoreError as exc:
            raise StorageUnavailable(f"HeadObject in {self.name}: {exc}") from exc
        # The answer to HeadObject has no body, so it does not say whether the object or the bucket is missing.
        try:
            self._client.head_bucket(Bucket=self.name)
        except (ClientError, BotoCoreError) as exc:
            raise StorageUnavailable(f"HeadBucket of {self.name}: {exc}") from exc
        return None

    def delete_under(self, prefix: str) -> None:
        """Deletes every object whose key starts so. Raises StorageUnavailable, with some of them deleted."""
        try:
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix):
                keys = [{"Key": found["Key"]} for found in page.get("Contents", ())]
                if not keys:
                    continue
                # A page has as many keys as one call deletes, 1000.
                reply = self._client.delete_objects(Bucket=self.name, Delete={"Objects": keys, "Quiet": True})
                for fault in reply.get("Errors", ()):
                    raise StorageUnavailable(f"DeleteObjects in {self.name}: {fault.get('Code')} {fault['Key']}")
        except (ClientError, BotoCoreError) as exc:
            raise StorageUnavailable(f"objects under {prefix} in {self.name}: {exc}") from exc

    @cached_property
    def origin(self) -> str:
        """Scheme, host and port of the presigned URLs. Raises StorageUnavailable without credentials."""
        parts = urlsplit(self._presigned("get_object", seconds=60, Key="origin"))
        return f"{parts.scheme}://{parts.netloc}"

    def _presigned(self, operation: str, *, seconds: int, **parameters: Any) -> str:
        try:
            url: str = self._client.generate_presigned_url(
                operation, Params={"Bucket": self.name, **parameters}, ExpiresIn=seconds
            )
        except BotoCoreError as exc:
            raise StorageUnavailable(f"no URL for {self.name} can be signed") from exc
        return url


def _status(exc: ClientError) -> int:
    return int(exc.response["ResponseMetadata"]["HTTPStatusCode"])
