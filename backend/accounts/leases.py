"""Counts that many requests share: a process takes a block of them in the database and hands them out one by one.

What a process has taken and not handed out is lost to the others when its window ends, so blocks are small beside
what is allowed.
"""

import threading
import time
from dataclasses import dataclass
from datetime import timedelta

from backend.accounts.counting import Taken, take

_MOST_KEPT = 10_000  # about as many subjects as ask within one window


@dataclass(kw_only=True, slots=True)
class _Lease:
    count: int  # in the window, with the whole block
    unused: int
    ends_at: float  # on the monotonic clock


class Leases:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], _Lease] = {}
        self._lock = threading.Lock()

    def take(self, subject: str, window: timedelta, *, block: int) -> Taken:
        """Counts one; asks the database only where no block is left. Raises Django's database errors.

        Threads that find none at the same moment take one each, and what is left of all but the last is lost.
        """
        place, now = (subject, block), time.monotonic()
        with self._lock:
            lease = self._kept.get(place)
            if lease is not None and lease.unused and now < lease.ends_at:
                lease.unused -= 1
                return Taken(count=lease.count - lease.unused, seconds_left=lease.ends_at - now)
        taken = take(subject, window, block)
        if block > 1:
            with self._lock:
                self._make_room(now)
                self._kept[place] = _Lease(count=taken.count, unused=block - 1, ends_at=now + taken.seconds_left)
        return Taken(count=taken.count - block + 1, seconds_left=taken.seconds_left)

    def forget(self) -> None:
        with self._lock:
            self._kept.clear()

    def _make_room(self, now: float) -> None:
        if len(self._kept) >= _MOST_KEPT:
            self._kept = {place: lease for place, lease in self._kept.items() if now < lease.ends_at}
