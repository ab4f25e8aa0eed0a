"""What is said of objects in S3 and of the URLs that make them."""

import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

CHECKSUM_BYTES = {"SHA256": 32, "CRC32": 4}  # what S3 and any client can compute
_CHECKSUMS: Mapping[str, Callable[[bytes], bytes]] = {
    "SHA256": lambda content: hashlib.sha256(content).digest(),
    "CRC32": lambda content: zlib.crc32(content).to_bytes(4, "big"),
}


def is_checksum(value: str, algorithm: str) -> bool:
    try:
        return len(b64decode(value, validate=True)) == CHECKSUM_BYTES[algorithm]
    except ValueError:  # also of letters that are not ASCII
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Checksum:
    """Of one PUT, or of one part."""

    algorithm: str  # a key of CHECKSUM_BYTES
    value: str  # base64

    @property
    def headers(self) -> Mapping[str, str]:
        return {f"x-amz-checksum-{self.algorithm.lower()}": self.value}


@dataclass(frozen=True, kw_only=True, slots=True)
class PresignedUpload:
    method: str
    url: str
    headers: Mapping[str, str]  # the sender must send exactly these
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredObject:
    size_bytes: int
    etag: str
    checksum_algorithm: str  # empty where S3 has none of those we know
    checksum: str  # of a multipart upload that of its parts' checksums, without S3's `-<parts>`


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredPart:
    number: int
    size_bytes: int
    etag: str
    checksums: Mapping[str, str]  # by algorithm; some of S3's likes do not list them


def checksum_of_parts(parts: Sequence[StoredPart], algorithm: str) -> str | None:
    """As S3 makes it of the parts' own; None where those are not listed."""
    if not all(algorithm in part.checksums for part in parts):
        return None
    content = b"".join(b64decode(part.checksums[algorithm]) for part in parts)
    return b64encode(_CHECKSUMS[algorithm](content)).decode()
