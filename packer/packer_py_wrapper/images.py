"""Machine images of ours in EC2: those that carry the tag of their content."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
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


def started_from(ec2: Any) -> set[str]:
    """Ids of the images that launch templates name: machines start from them until a newer one is rolled out."""
    pages = ec2.get_paginator("describe_launch_template_versions").paginate(Versions=["$Default", "$Latest"])
    found = (version["LaunchTemplateData"] for page in pages for version in page["LaunchTemplateVersions"])
    return {data["ImageId"] for data in found if "ImageId" in data}


def superfluous(found: list[Image], *, keep: int, used: set[str]) -> list[Image]:
    """All but the newest `keep` of each ABI and family and those that are used.

    What is still being made stays, too.
    """
    counts: Counter[tuple[str, str]] = Counter()
    left: list[Image] = []
    for image in found:
        if not image.available:
            continue
        counts[image.abi, image.family] += 1
        if counts[image.abi, image.family] > keep and image.id not in used:
            left.append(image)
    return left


def snapshots(ec2: Any) -> dict[str, str]:
    """From the id of each snapshot of ours to its content."""
    filters = [{"Name": "tag-key", "Values": [CONTENT_TAG]}]
    pages = ec2.get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
    found = (snapshot for page in pages for snapshot in page["Snapshots"])
    return {snapshot["SnapshotId"]: _tags(snapshot)[CONTENT_TAG] for snapshot in found}


def orphans(taken: Mapping[str, str], found: Iterable[Image]) -> list[str]:
    """Snapshots whose image is gone, as an interrupted clean-up leaves them behind.

    `taken` must be older than `found`, or it holds snapshots of an image that was made in between.
    """
    known = {image.content for image in found}
    return [snapshot for snapshot, content in taken.items() if content not in known]


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
