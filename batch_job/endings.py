"""Whether a file ends where its own format says, for formats whose missing end FFmpeg does not mention."""

import os
from pathlib import Path

TORN = "the file ends in the middle"

_HEAD, _TAIL = 1 << 13, 1 << 6  # bytes
_TS_PACKET, _TS_SYNC = 188, 0x47  # ISO/IEC 13818-1, 2.4.3.2
# The object that tells the whole file's size (Advanced Systems Format 3.2): its own size and the file's identifier
# follow its identifier, and at 40 is the file's size, which is not true where the first of the flags at 88 is set.
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_SIZE, _ASF_FLAGS = 40, 88
_SEGMENT = bytes.fromhex("18538067")  # Matroska, RFC 9559: the element that holds everything else


def torn(path: Path, container: str) -> bool:
    """`container` is FFmpeg's name of the format. False also where nothing can be said."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _TAIL, 0))
        tail = file.read().rstrip(b"\0")
    match container:
        case "gif":
            return not tail.endswith(b";")
        case "apng":
            return b"IEND" not in tail
        case "matroska,webm":
            return size < _segment_end(head)
        case "asf":
            return size < _asf_size(head)
        case "mpegts":
            in_step = head[: _TS_PACKET + 1 : _TS_PACKET] == bytes((_TS_SYNC, _TS_SYNC))
            return in_step and size % _TS_PACKET > 0
    return False


def _segment_end(head: bytes) -> int:
    """Behind the identifier stands the length, in as many bytes as the first of them has leading zeros, and one.

    All ones are for a stream whose length nobody knew when it began (RFC 8794, 4 and 6.2).
    """
    at = head.find(_SEGMENT) + len(_SEGMENT)
    if at < len(_SEGMENT) or not head[at : at + 1].strip(b"\0"):
        return 0
    many = 9 - head[at].bit_length()
    length = int.from_bytes(head[at : at + many], "big") - (1 << 7 * many)
    return 0 if length == (1 << 7 * many) - 1 else at + many + length


def _asf_size(head: bytes) -> int:
    at = head.find(_ASF_PROPERTIES)
    if at < 0 or int.from_bytes(head[at + _ASF_FLAGS : at + _ASF_FLAGS + 4], "little") & 1:
        return 0
    return int.from_bytes(head[at + _ASF_SIZE : at + _ASF_SIZE + 8], "little")
