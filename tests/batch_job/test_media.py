from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from botocore.exceptions import ReadTimeoutError
from urllib3.exceptions import SSLError

from batch_job.arriving import ArrivingFile
from batch_job.errors import Interrupted, StorageUnavailable, VideoChanged, VideoMissing
from batch_job.media import MediaBucket
from batch_job.pipeline import Stopwatch
from contract.keys import annotated_video_key, thumbnail_key


@pytest.fixture
def pauses() -> list[float]:
    """What the bucket has waited, in seconds."""
    return []


@pytest.fixture
def bucket(media_bucket: str, pauses: list[float]) -> Iterator[MediaBucket]:
    bucket = MediaBucket(media_bucket, pause=pauses.append)
    yield bucket
    bucket.close()


def fetch(bucket: MediaBucket, folder: Path, *, key: str = "uploads/1/x") -> bytes:
    """Read from the beginning to the end while it comes."""
    with bucket.arriving(key, folder / "video", watch=Stopwatch()) as file, container_of(file) as reader:
        return reader.read()


def container_of(file: ArrivingFile) -> Any:
    opened = file.opened()
    return open(opened, "rb") if isinstance(opened, str) else opened


def put(s3_client: Any, media_bucket: str, content: bytes) -> None:
    s3_client.put_object(Bucket=media_bucket, Key="uploads/1/x", Body=content)


@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_the_file_is_the_object(
    bucket: MediaBucket, s3_client: Any, media_bucket: str, tmp_path: Path, size: int
) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    put(s3_client, media_bucket, content[:size])
    assert fetch(bucket, tmp_path) == content[:size]
    assert (tmp_path / "video").read_bytes() == content[:size]


def test_only_the_object_that_was_checked_will_do(
    bucket: MediaBucket, s3_client: Any, media_bucket: str, tmp_path: Path
) -> None:
    """Its upload URL is good for a while after the check."""
    put(s3_client, media_bucket, b"checked")
    etag = s3_client.head_object(Bucket=media_bucket, Key="uploads/1/x")["ETag"]
    with bucket.arriving("uploads/1/x", tmp_path / "video", watch=Stopwatch(), etag=etag):
        pass
    put(s3_client, media_bucket, b"another")
    with (
        pytest.raises(VideoChanged),
        bucket.arriving("uploads/1/x", tmp_path / "video", watch=Stopwatch(), etag=etag),
    ):
        pass


def test_a_missing_object_is_told_from_a_missing_storage(bucket: MediaBucket, tmp_path: Path) -> None:
    """The one is the user's to mend, the other passes."""
    with pytest.raises(VideoMissing):
        fetch(bucket, tmp_path, key="uploads/1/gone")
    with pytest.raises(StorageUnavailable):
        fetch(MediaBucket("no-such-bucket"), tmp_path)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ReadTimeoutError(endpoint_url="storage"), id="nothing comes"),
        pytest.param(SSLError("bad record mac"), id="a fault of TLS, which botocore passes on as it is"),
    ],
)
def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(
    bucket: MediaBucket,
    s3_client: Any,
    media_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Exception,
) -> None:
    """botocore repeats requests, not answers that break off in the middle of a large video."""
    content = bytes(range(256)) * (4 << 12)
    put(s3_client, media_bucket, content)
    starts: list[int] = []

    def breaking(self: MediaBucket, parts: Iterator[bytes], file: ArrivingFile) -> None:
        starts.append(file.there)
        if len(starts) < 3:
            file.add(next(parts)[:100_000])
            raise fault
        for part in parts:
            file.add(part)

    monkeypatch.setattr(MediaBucket, "_copy", breaking)
    fetch(bucket, tmp_path)
    assert starts == [0, 100_000, 200_000]
    assert (tmp_path / "video").read_bytes() == content


def test_an_object_that_is_replaced_on_the_way_is_told_as_such(
    bucket: MediaBucket, s3_client: Any, media_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever replaced it must hear of it, and not that the storage was away."""
    put(s3_client, media_bucket, b"checked")

    def breaking(self: MediaBucket, parts: Iterator[bytes], file: ArrivingFile) -> None:
        file.add(next(parts)[:3])
        put(s3_client, media_bucket, b"another")
        raise ReadTimeoutError(endpoint_url="storage")

    monkeypatch.setattr(MediaBucket, "_copy", breaking)
    with pytest.raises(VideoChanged):
        fetch(bucket, tmp_path)


def test_a_transfer_in_which_nothing_arrives_is_given_up(
    bucket: MediaBucket,
    pauses: list[float],
    s3_client: Any,
    media_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Trying again for ever would cost a machine; trying again at once would not outlast a short outage."""

    def broken(self: MediaBucket, parts: Iterator[bytes], file: Any) -> None:
        raise ReadTimeoutError(endpoint_url="storage")

    put(s3_client, media_bucket, bytes(100))
    monkeypatch.setattr(MediaBucket, "_copy", broken)
    with pytest.raises(StorageUnavailable):
        fetch(bucket, tmp_path)
    assert pauses == [1, 2, 4, 8]


def test_a_pause_between_transfers_can_be_interrupted(
    s3_client: Any, media_bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spot gives two minutes, and nothing may sleep through them."""

    def broken(self: MediaBucket, parts: Iterator[bytes], file: Any) -> None:
        raise ReadTimeoutError(endpoint_url="storage")

    def asked_to_stop(seconds: float) -> None:
        raise Interrupted

    put(s3_client, media_bucket, bytes(100))
    monkeypatch.setattr(MediaBucket, "_copy", broken)
    with pytest.raises(Interrupted):
        fetch(MediaBucket(media_bucket, pause=asked_to_stop), tmp_path)


def test_a_transfer_can_be_interrupted(s3_client: Any, media_bucket: str, tmp_path: Path) -> None:
    put(s3_client, media_bucket, bytes(3 << 20))

    def halt() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        fetch(MediaBucket(media_bucket, halt=halt), tmp_path)


@pytest.mark.parametrize("size", [1, 20 << 20])
def test_a_video_is_stored_whole(
    bucket: MediaBucket, s3_client: Any, media_bucket: str, tmp_path: Path, size: int
) -> None:
    """Small ones in one request, large ones in parts."""
    path, key = tmp_path / "annotated.mp4", annotated_video_key(UUID(int=1))
    path.write_bytes(np.random.default_rng(size).bytes(size))
    bucket.put_video(key, path)
    answer = s3_client.get_object(Bucket=media_bucket, Key=key)
    assert answer["ContentType"] == "video/mp4"
    assert answer["Body"].read() == path.read_bytes()


def test_an_upload_that_is_interrupted_leaves_nothing(s3_client: Any, media_bucket: str, tmp_path: Path) -> None:
    """Parts that nobody completes are paid for and never seen."""
    path = tmp_path / "annotated.mp4"
    path.write_bytes(bytes(64 << 20))
    looks: list[int] = []

    def halt() -> None:
        looks.append(len(looks))
        if len(looks) > 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        MediaBucket(media_bucket, halt=halt).put_video("analyses/1/annotated.mp4", path)
    assert s3_client.list_objects_v2(Bucket=media_bucket)["KeyCount"] == 0
    assert not s3_client.list_multipart_uploads(Bucket=media_bucket).get("Uploads")


def test_an_upload_into_a_missing_storage_is_worth_another_attempt(aws_endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "annotated.mp4").write_bytes(b"video")
    with pytest.raises(StorageUnavailable):
        MediaBucket("no-such-bucket").put_video("analyses/1/annotated.mp4", tmp_path / "annotated.mp4")


def test_thumbnails_are_pictures_to_a_browser(bucket: MediaBucket, s3_client: Any, media_bucket: str) -> None:
    key = thumbnail_key(UUID(int=1), 0)
    bucket.put_jpeg(key, b"jpeg")
    answer = s3_client.get_object(Bucket=media_bucket, Key=key)
    assert (answer["ContentType"], answer["Body"].read()) == ("image/jpeg", b"jpeg")
