"""How a file is cut into the parts of an S3 multipart upload.

S3's own limits: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
"""

_MIB = 1024**2
PUT_BYTES_AT_MOST = 5 * 1024**3  # S3 takes no more in one PUT
OBJECT_BYTES_AT_MOST = 5 * 1024**4
PARTS_AT_MOST = 10_000
PART_BYTES_AT_LEAST = 16 * _MIB  # S3 demands 5 MiB of all but the last; less is sent anew when a connection breaks


def part_bytes(size_bytes: int) -> int:
    """Size of every part but the last, which is shorter or equal: whole MiB, as few as 10,000 parts allow."""
    return max(PART_BYTES_AT_LEAST, -(-size_bytes // (PARTS_AT_MOST * _MIB)) * _MIB)


def part_count(size_bytes: int, part_bytes: int) -> int:
    return -(-size_bytes // part_bytes)


def part_size(size_bytes: int, part_bytes: int, number: int) -> int:
    """Bytes of part `number`, which counts from 1 to `part_count`."""
    return min(part_bytes, size_bytes - (number - 1) * part_bytes)
