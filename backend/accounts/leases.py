"""Counts that many requests share: a process takes a block of them in the database and hands them out one by one.

What a process has taken and not handed out is lost to the others when its window ends, so blocks are small beside
what is allowed.
"""

import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta

from backend.accounts.counting import Taken, take

_TIDY_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    count: int  # in the window, with the whole block
    unused: int
    ends_at: float  # on the monotonic clock


class Leases:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], list[_Block]] = {}
        self._lock = threading.Lock()
        self._tidied_at = 0.0

    def take(self, subject: str, window: timedelta, *, block: int) -> Taken:
        """Counts one; asks the database only where no block is left. Raises Django's database errors.

        Threads that find none at the same moment take one each, and all of them are handed out.
        """
        place, now = (subject, block), time.monotonic()
        with self._lock:
            blocks = self._kept.get(place, [])
            while blocks:
                first = blocks.pop(0)
                if now >= first.ends_at:
                    continue
                if first.unused > 1:
                    blocks.insert(0, replace(first, unused=first.unused - 1))
                return Taken(count=first.count - first.unused + 1, seconds_left=first.ends_at - now)
        taken = take(subject, window, block)
        if block > 1:
            left = _Block(count=taken.count, unused=block - 1, ends_at=now + taken.seconds_left)
            with self._lock:
                self._tidy(now)
                self._kept.setdefault(place, []).append(left)
        return Taken(count=taken.count - block + 1, seconds_left=taken.seconds_left)

    def _tidy(self, now: float) -> None:
        """Forgets whose window has ended, once in a while."""
        if now - self._tidied_at >= _TIDY_SECONDS:
            self._kept = {
                place: blocks for place, blocks in self._kept.items() if blocks and now < blocks[-1].ends_at
            }
            self._tidied_at = now
