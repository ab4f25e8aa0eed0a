"""Time in integer microseconds, and its order: a frame is handed on only if it is later than the one before it."""

import heapq
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import TypeVar

from av.packet import Packet
from av.video.stream import VideoStream

Item = TypeVar("Item")

OUT_OF_ORDER = "the time of a picture does not fit between its neighbours"


def to_microseconds(ticks: int, time_base: Fraction) -> int:
    """Exact rational arithmetic; halves go to the even neighbour."""
    return round(Fraction(ticks * time_base.numerator * 1_000_000, time_base.denominator))


def end_us(packet: "Packet[VideoStream]") -> int | None:
    """Until when the packet's picture is shown, where the container tells."""
    if packet.pts is None or packet.time_base is None:
        return None
    return to_microseconds(packet.pts + (packet.duration or 0), packet.time_base)


def in_order(timed: Iterable[tuple[int, Item]], skip: Callable[[str], None]) -> Iterator[tuple[int, Item]]:
    """The items whose times (microseconds) rise, and `skip` with the reason for each of the others.

    One is held back until the next is known: of two that contradict each other, it is the one whose time jumped
    ahead that is left out, so that a single false time far in the future does not cost all that follows.
    """
    held: tuple[int, Item] | None = None
    last: int | None = None  # the time of the item handed on last
    for timed_item in timed:
        time = timed_item[0]
        if last is not None and time <= last:
            skip(OUT_OF_ORDER)
        elif held is None:
            held = timed_item
        elif time == held[0]:
            skip(OUT_OF_ORDER)
        elif time < held[0]:
            skip(OUT_OF_ORDER)
            held = timed_item
        else:
            yield held
            last, held = held[0], timed_item
    if held is not None:
        yield held


class Slots:
    """Times for H.264 in AVI, which stores pictures in the order of decoding and tells no other time.

    FFmpeg gives each the time of its own place, so that with B-frames the times jump to and fro. The pictures come
    out of the decoder in the order in which they are shown, and each takes the earliest place that is left.
    """

    def __init__(self) -> None:
        self._free: list[int] = []

    def add(self, place: int) -> None:
        """A picture goes into the decoder."""
        heapq.heappush(self._free, place)

    def take(self, own: int, *, key: bool) -> int:
        """The place at which the picture that was stored at `own` is shown.

        Nothing stored before a key frame is shown after it: places left over there belong to pictures that never
        came out.
        """
        while key and self._free and self._free[0] < own:
            heapq.heappop(self._free)
        return heapq.heappop(self._free) if self._free else own
