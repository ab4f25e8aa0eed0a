"""Which frames of a stream are analysed."""

from collections.abc import Callable
from fractions import Fraction
from itertools import count

from contract.options import AnalysisOptions

Choice = Callable[[int], bool]  # told the pts in microseconds of each frame, in order; True: analyse it


def choice_for(options: AnalysisOptions) -> Choice:
    """A fresh choice, to be asked once for every frame of one stream."""
    if options.frames_per_second is not None:
        return _per_second(options.frames_per_second)
    return _every_nth(options.every_nth)


def expected_frames(options: AnalysisOptions, *, declared: int | None, duration_us: int | None) -> int | None:
    """How many frames will be analysed, as far as the header can be believed; None if it says nothing."""
    if declared is None:
        return None
    expected = -(-declared // options.every_nth)
    if options.frames_per_second is not None and duration_us is not None:
        expected = min(expected, int(_exact(options.frames_per_second) * duration_us / 1_000_000) + 1)
    return expected


def _every_nth(nth: int) -> Choice:
    numbers = count()
    return lambda _pts_us: next(numbers) % nth == 0


def _per_second(rate: float) -> Choice:
    """Frames are due every 1/rate seconds from the first on; the first frame at or after each due time is kept.

    Due times stand on a fixed grid, so a frame that comes late does not move the ones after it. Where the stream
    is slower than `rate`, every frame is kept.
    """
    per_us = _exact(rate) / 1_000_000
    first_us: int | None = None
    due = 0  # number of the due time that comes next

    def choose(pts_us: int) -> bool:
        nonlocal first_us, due
        if first_us is None:
            first_us = pts_us
        passed = int((pts_us - first_us) * per_us // 1)  # number of the last due time at or before this frame
        if passed < due:
            return False
        due = passed + 1
        return True

    return choose


def _exact(rate: float) -> Fraction:
    """The decimal that was asked for, not its nearest binary neighbour: 0.1 per second is every 10 seconds."""
    return Fraction(str(rate))
