"""Machine images of ours in EC2: those that carry the tag of their content."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

CONTENT_TAG = "framebatch:content"
ABI_TAG = "framebatch:runtime-abi"
FAMILY_TAG = "framebatch:family"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    id: str
    content: str
    abi: str
    family: str  # of the machine it was baked on, such as "g6": TensorRT engines open on no other
    created: str  # ISO 8601 in UTC, so that texts sort as times do
    available: bool
    snapshots: tuple[str, ...]


def images(ec2: Any) -> list[Image]:
    """Newest first."""
    filters = [{"Name": "tag-key", "Values": [CONTENT_TAG]}]
    pages = ec2.get_paginator("describe_images").paginate(Owners=["self"], Filters=filters)
    found = (_image(each) for page in pages for each in page["Images"])
    return sorted(found, key=lambda image: (image.created, image.id), reverse=True)


def with_content(found: Iterable[Image], content: str) -> Image | None:
    """The image of that content that jobs could start from."""
    return next((image for image in found if image.content == content and image.available), None)


def superfluous(found: list[Image], *, keep: int, published: set[str]) -> list[Image]:
    """All but the newest `keep` of each ABI and family and those that are published.

    What is still being made stays, too.
    """
    counts: Counter[tuple[str, str]] = Counter()
    left: list[Image] = []
    for image in found:
        if not image.available:
            continue
        counts[image.abi, image.family] += 1
        if counts[image.abi, image.family] > keep and image.id not in published:
            left.append(image)
    return left


def orphans(ec2: Any, found: list[Image]) -> Iterator[str]:
    """Snapshots whose image is gone, as an interrupted clean-up leaves them behind."""
    filters = [{"Name": "tag-key", "Values": [CONTENT_TAG]}]
    known = {image.content for image in found}
    for page in ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters):
        for snapshot in page["Snapshots"]:
            if _tags(snapshot)[CONTENT_TAG] not in known:
                yield snapshot["SnapshotId"]


def remove(ec2: Any, image: Image) -> None:
    """The image first: EC2 refuses to delete a snapshot that an image needs."""
    with _unless_gone():
        ec2.deregister_image(ImageId=image.id)
    for snapshot in image.snapshots:
        remove_snapshot(ec2, snapshot)


def remove_snapshot(ec2: Any, snapshot: str) -> None:
    with _unless_gone():
        ec2.delete_snapshot(SnapshotId=snapshot)


# Bakes of two families may end, and remove what is old, at the same time.
_GONE = frozenset({"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidSnapshot.NotFound"})


@contextmanager
def _unless_gone() -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        if exc.response["Error"]["Code"] not in _GONE:
            raise


def _image(found: dict[str, Any]) -> Image:
    tags = _tags(found)
    mappings = found.get("BlockDeviceMappings", ())
    return Image(
        id=found["ImageId"],
        content=tags[CONTENT_TAG],
        abi=tags.get(ABI_TAG, "unknown"),
        family=tags.get(FAMILY_TAG, "unknown"),
        created=found["CreationDate"],
        available=found["State"] == "available",
        snapshots=tuple(each["Ebs"]["SnapshotId"] for each in mappings if each.get("Ebs", {}).get("SnapshotId")),
    )


def _tags(described: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in described.get("Tags", ())}
