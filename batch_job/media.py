"""Objects in S3: the video comes, what was made of it goes."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from batch_job.errors import StorageUnavailable, VideoMissing

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_PART_BYTES = 1 << 20
_BREAKS_IN_A_ROW = 5
_FIRST_PAUSE_SECONDS = 1.0
_LOOK_SECONDS = 0.02
_TRANSFER = TransferConfig(max_concurrency=2)


class MediaBucket:
    """The bucket that holds uploads and what is made of them."""

    def __init__(
        self,
        bucket: str,
        *,
        halt: Callable[[], None] = lambda: None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`halt` is called between the parts of a transfer, and `pause` waits so many seconds; both may raise."""
        self._bucket = bucket
        self._halt = halt
        self._pause = pause
        config = Config(retries={"mode": "standard", "total_max_attempts": 6}, connect_timeout=10, read_timeout=30)
        self._client: S3Client = boto3.client("s3", config=config)

    def fetch(self, key: str, path: Path) -> None:
        """The object becomes the file. Raises VideoMissing or StorageUnavailable.

        botocore repeats a request that fails, but not an answer that breaks off: that is taken up where it
        stopped.
        """
        etag, breaks = "", 0
        with path.open("wb") as file:
            while True:
                start = file.tell()
                with _translated(key):
                    if start:
                        answer = self._client.get_object(
                            Bucket=self._bucket, Key=key, Range=f"bytes={start}-", IfMatch=etag
                        )
                    else:
                        answer = self._client.get_object(Bucket=self._bucket, Key=key)
                    etag = answer["ETag"]
                try:
                    self._copy(answer["Body"].iter_chunks(_PART_BYTES), file)
                    return
                except BotoCoreError as exc:
                    breaks = 1 if file.tell() > start else breaks + 1
                    if breaks == _BREAKS_IN_A_ROW:
                        raise StorageUnavailable(type(exc).__name__) from exc
                self._pause(_FIRST_PAUSE_SECONDS * 2 ** (breaks - 1))

    def put_jpeg(self, key: str, jpeg: bytes) -> None:
        """Raises StorageUnavailable."""
        self._halt()
        with _translated(key):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=jpeg, ContentType="image/jpeg")

    def put_video(self, key: str, path: Path) -> None:
        """In parts, so that memory does not grow with the file; S3 shows it when it is whole, or not at all.

        Raises StorageUnavailable, or whatever `halt` raises: then what was sent is thrown away.
        """
        with _translated(key), create_transfer_manager(self._client, _TRANSFER) as manager:
            upload = manager.upload(os.fspath(path), self._bucket, key, {"ContentType": "video/mp4"})
            while not upload.done():
                self._halt()
                time.sleep(_LOOK_SECONDS)
            upload.result()

    def close(self) -> None:
        self._client.close()

    def _copy(self, parts: Iterator[bytes], file: BinaryIO) -> None:
        for part in parts:
            self._halt()
            file.write(part)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        if code in ("404", "NoSuchKey", "NotFound"):
            raise VideoMissing(key) from exc
        raise StorageUnavailable(code) from exc
    except BotoCoreError as exc:
        raise StorageUnavailable(type(exc).__name__) from exc
