"""What was uploaded outlives the local stack, under the ETag that the database knows."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from contract.uploads import PART_BYTES_AT_LEAST
from local import aws


@pytest.fixture
def bucket(s3_client: Any, media_bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(aws, "BUCKET", media_bucket)
    return media_bucket


def test_objects_come_back_with_the_etag_they_had(bucket: str, s3_client: Any, aws_endpoint: str, tmp_path: Path):
    """An analysis is made of exactly the object that was looked at, and of no other."""
    whole = bytes(9 * 1024**2)  # boto3 would send it in parts
    s3_client.put_object(Bucket=bucket, Key="uploads/1/whole", Body=whole)
    s3_client.put_object(Bucket=bucket, Key="uploads/1/empty", Body=b"")
    sent_in_parts(s3_client, bucket, "uploads/1/parts", bytes(PART_BYTES_AT_LEAST), b"rest")
    sent_in_parts(s3_client, bucket, "uploads/1/one-part", b"short")
    before = etags(s3_client, bucket)

    aws.save_media(boto3.Session(), aws_endpoint, tmp_path / "media")
    for key in before:
        s3_client.delete_object(Bucket=bucket, Key=key)
    aws.restore_media(boto3.Session(), aws_endpoint, tmp_path / "media")

    assert etags(s3_client, bucket) == before


def sent_in_parts(s3_client: Any, bucket: str, key: str, *parts: bytes) -> None:
    upload = s3_client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    listed = [
        {
            "PartNumber": number,
            "ETag": s3_client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=part)[
                "ETag"
            ],
        }
        for number, part in enumerate(parts, 1)
    ]
    s3_client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": listed})


def etags(s3_client: Any, bucket: str) -> dict[str, str]:
    listed = s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {item["Key"]: item["ETag"] for item in listed}
