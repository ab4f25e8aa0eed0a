from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from batch_job.sampling import choice_for, expected_frames
from contract.options import AnalysisOptions

gaps = st.lists(st.integers(1, 400_000), max_size=200)


def kept(options: AnalysisOptions, times: list[int]) -> list[int]:
    choose = choice_for(options)
    return [time for time in times if choose(time)]


def times_from(first: int, steps: list[int]) -> list[int]:
    times = [first]
    for step in steps:
        times.append(times[-1] + step)
    return times


@given(first=st.integers(-(10**6), 10**9), steps=gaps, rate=st.floats(0.1, 240))
def test_the_first_frame_at_or_after_each_due_time_is_kept(first: int, steps: list[int], rate: float) -> None:
    """Whatever the gaps between frames: due times stand on a grid that begins with the first frame."""
    times = times_from(first, steps)
    step = 1_000_000 / Fraction(str(rate))
    wanted = set()
    due = Fraction(first)
    while due <= times[-1]:
        wanted.add(next(time for time in times if time >= due))
        due += step
    assert kept(AnalysisOptions(frames_per_second=rate), times) == sorted(wanted)


@given(steps=gaps, rate=st.floats(0.1, 60))
def test_no_more_frames_than_asked_for(steps: list[int], rate: float) -> None:
    """At most this many per second of video time, the first not counted."""
    times = times_from(0, steps)
    many = len(kept(AnalysisOptions(frames_per_second=rate), times))
    assert many <= Fraction(str(rate)) * times[-1] / 1_000_000 + 1


@given(frames=st.integers(0, 200), nth=st.integers(1, 50))
def test_every_nth_begins_with_the_first(frames: int, nth: int) -> None:
    """And the number that was announced is the number that comes."""
    options = AnalysisOptions(every_nth=nth)
    assert kept(options, list(range(frames))) == list(range(0, frames, nth))
    assert expected_frames(options, declared=frames, duration_us=None) == len(range(0, frames, nth))


def test_a_rate_means_its_decimal() -> None:
    """0.1 per second is every ten seconds, although 0.1 in binary is a little more."""
    seconds = [1_000_000 * second for second in range(0, 10_000_000, 10)][:5000]
    assert kept(AnalysisOptions(frames_per_second=0.1), seconds) == seconds


def test_a_stream_slower_than_asked_is_kept_whole() -> None:
    times = [0, 500_000, 1_000_000]
    assert kept(AnalysisOptions(frames_per_second=30), times) == times
    assert expected_frames(AnalysisOptions(frames_per_second=30), declared=3, duration_us=1_500_000) == 3
