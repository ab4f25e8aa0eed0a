"""Whatever times a file tells, those that are stored rise."""

from collections.abc import Iterable
from itertools import accumulate, pairwise

from hypothesis import given
from hypothesis import strategies as st

from batch_job.timeline import OUT_OF_ORDER, Slots, in_order

rising = st.lists(st.integers(1, 400_000), max_size=40).map(lambda steps: list(accumulate(steps, initial=7)))


def ordered(times: Iterable[int]) -> tuple[list[int], int]:
    """The times that are left, and how many were skipped."""
    skipped: list[str] = []
    left = [time for time, _ in in_order(((time, None) for time in times), skipped.append)]
    assert set(skipped) <= {OUT_OF_ORDER}
    return left, len(skipped)


@given(rising)
def test_times_that_rise_are_left_alone(times: list[int]) -> None:
    assert ordered(times) == (times, 0)


@given(st.lists(st.integers(-50, 50)))
def test_times_always_rise_and_everything_else_is_told(times: list[int]) -> None:
    left, skipped = ordered(times)
    assert all(earlier < later for earlier, later in pairwise(left))
    assert len(left) + skipped == len(times)
    assert set(left) <= set(times)


@given(times=rising, place=st.integers(0, 40), false=st.integers(-(10**12), 10**12))
def test_one_false_time_costs_one_picture(times: list[int], place: int, false: int) -> None:
    """Also one far in the future, which a look at the past alone would believe."""
    place %= len(times)
    told = [*times[:place], false, *times[place + 1 :]]
    left, skipped = ordered(told)
    assert skipped <= 1
    assert len(left) >= len(times) - 1


@given(delays=st.lists(st.integers(0, 3), min_size=1, max_size=40))
def test_pictures_in_avi_take_the_places_in_the_order_they_are_shown(delays: list[int]) -> None:
    """A picture that waits in the decoder is passed by those stored after it."""
    slots, waiting, shown = Slots(), [], []
    for place, delay in enumerate(delays):
        slots.add(place)
        waiting.append(place)
        if len(waiting) > delay:
            own = waiting.pop(0 if place % 2 else -1)
            shown.append(slots.take(own, key=False))
    shown += [slots.take(own, key=False) for own in waiting]
    assert shown == list(range(len(delays)))


def test_a_picture_that_never_comes_out_shifts_the_others_only_to_the_next_key_frame() -> None:
    slots = Slots()
    for place in range(6):
        slots.add(place)
    shown = [slots.take(own, key=own in (0, 4)) for own in (0, 2, 3, 4, 5)]
    assert shown == [0, 1, 2, 4, 5]
