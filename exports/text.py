"""What the text formats share."""

import json
import struct
from collections.abc import Iterable, Iterator
from itertools import islice

LINES_PER_PIECE = 512

_SINGLE = struct.Struct("f")

# ASCII only: some readers take U+2028, which a class name may hold, for the end of a line.
json_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def short(value: float) -> float:
    """The same float32 value in few digits: 0.1 for 0.10000000149011612.

    Nine significant digits tell every float32 from its neighbours (IEEE 754-2008, 5.12.2); most need fewer.
    """
    if len(repr(value)) <= 10:  # a point, and so at most nine digits
        return value
    stored = _SINGLE.pack(value)
    for digits in (6, 7, 8):
        candidate = float(f"{value:.{digits}g}")
        if _SINGLE.pack(candidate) == stored:
            return candidate
    return float(f"{value:.9g}")


def pieces(lines: Iterable[str]) -> Iterator[bytes]:
    """The lines in UTF-8, a few hundred at a time."""
    rest = iter(lines)
    while some := list(islice(rest, LINES_PER_PIECE)):
        yield "".join(some).encode()
