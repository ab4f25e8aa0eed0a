"""Objects in S3: the video comes, what was made of it goes."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from boto3.s3.transfer import TransferConfig, create_transfer_manager
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from batch_job.arriving import Abandoned, ArrivingFile
from batch_job.errors import StorageUnavailable, VideoChanged, VideoMissing
from batch_job.pipeline import Stopwatch

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import GetObjectOutputTypeDef, GetObjectRequestTypeDef

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

    @contextmanager
    def arriving(self, key: str, path: Path, *, watch: Stopwatch, etag: str = "") -> Iterator[ArrivingFile]:
        """The object becomes the file, which can be read meanwhile.

        With an `etag` only the object of that name will do. Raises VideoMissing, VideoChanged or
        StorageUnavailable. The last may also come while it is read. What has not come by the end of the context
        does not come.
        """
        asked: GetObjectRequestTypeDef = {"Bucket": self._bucket, "Key": key}
        if etag:
            asked["IfMatch"] = etag
        with _translated(key):
            answer = self._client.get_object(**asked)
        with ArrivingFile(path, size=answer["ContentLength"], etag=answer["ETag"]) as file:
            thread = threading.Thread(
                target=self._fill, args=(file, key, answer, watch), name="fetch", daemon=True
            )
            thread.start()
            try:
                yield file
            finally:
                file.abandon()
                thread.join()

    def _fill(self, file: ArrivingFile, key: str, answer: "GetObjectOutputTypeDef", watch: Stopwatch) -> None:
        try:
            with watch.timing("fetch"):
                self._fetch(file, key, answer)
        except Abandoned:
            pass
        except BaseException as exc:  # noqa: BLE001 - whoever reads the file gets it
            file.fail(exc)

    def _fetch(self, file: ArrivingFile, key: str, answer: "GetObjectOutputTypeDef") -> None:
        """botocore repeats a request that fails, but not an answer that breaks off: that is taken up where it
        stopped.
        """
        breaks = 0
        while True:
            start = file.there
            try:
                with closing(answer["Body"]) as body:
                    self._copy(body.iter_chunks(_PART_BYTES), file)
                    return
            except (BotoCoreError, HTTPError) as exc:  # a fault of TLS in the middle is urllib3's own
                breaks = 1 if file.there > start else breaks + 1
                if breaks == _BREAKS_IN_A_ROW:
                    raise StorageUnavailable(type(exc).__name__) from exc
            self._pause(_FIRST_PAUSE_SECONDS * 2 ** (breaks - 1))
            with _translated(key):
                answer = self._client.get_object(
                    Bucket=self._bucket, Key=key, Range=f"bytes={file.there}-", IfMatch=file.etag
                )

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

    def _copy(self, parts: Iterator[bytes], file: ArrivingFile) -> None:
        for part in parts:
            self._halt()
            file.add(part)


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        code = exc.response.get("Error", {}).get("Code", "")
        if code in ("404", "NoSuchKey", "NotFound"):
            raise VideoMissing(key) from exc
        if code == "PreconditionFailed":
            raise VideoChanged(key) from exc
        raise StorageUnavailable(code) from exc
    except BotoCoreError as exc:
        raise StorageUnavailable(type(exc).__name__) from exc
