import threading
import time
from collections.abc import Iterator

import pytest

from batch_job.pipeline import Stage, Stopwatch


class Stopped(Exception):
    pass


def chain(items: Iterator[int], *, capacity: int = 2, watch: Stopwatch | None = None) -> Stage[int]:
    watch = watch or Stopwatch()
    first = Stage("first", items, capacity=capacity, watch=watch)
    return Stage("second", (item * 2 for item in first), capacity=capacity, watch=watch, upstream=first)


def test_items_come_in_order_and_all_of_them() -> None:
    assert list(chain(iter(range(1000)))) == list(range(0, 2000, 2))


def test_a_stage_does_not_run_ahead_of_its_buffer() -> None:
    """Memory must not grow with the length of the video when the store is slow."""
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            made.append(number)
            yield number

    stage = chain(items())
    assert next(stage) == 0
    time.sleep(0.05)
    assert len(made) <= 9  # two buffers of two, and each stage holds one
    stage.close()


def test_the_error_of_a_stage_comes_out_at_the_end_with_its_cause() -> None:
    """After the items before it, and as what it was."""

    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken") from KeyError("why")

    stage = chain(items())
    assert next(stage) == 2
    with pytest.raises(ValueError, match="broken") as caught:
        next(stage)
    assert isinstance(caught.value.__cause__, KeyError)
    stage.close()


def test_closing_ends_every_thread_and_every_source() -> None:
    """An interrupted job must not hang, and decoder and network must be given back."""
    ended = threading.Event()

    def items() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.set()

    stage = chain(items())
    next(stage)
    stage.close()
    assert ended.is_set()
    assert not {"first", "second"} & {thread.name for thread in threading.enumerate()}


def test_a_reader_that_waits_can_be_stopped() -> None:
    """SIGTERM while the network works on a slow frame."""
    asked = threading.Event()

    def check() -> None:
        if asked.is_set():
            raise Stopped

    release = threading.Event()
    stage = Stage("slow", iter(release.wait, None), capacity=1, watch=Stopwatch(), halt=check)
    threading.Timer(0.05, asked.set).start()
    with pytest.raises(Stopped):
        next(stage)
    release.set()
    stage.close()


def test_waiting_is_not_work() -> None:
    """Otherwise the seconds per stage would not show which one is slow."""

    def slow() -> Iterator[int]:
        for number in range(5):
            time.sleep(0.02)
            yield number

    watch = Stopwatch()
    assert len(list(chain(slow(), watch=watch))) == 5
    seconds = watch.seconds()
    assert seconds["first"] >= 0.1
    assert seconds["second"] < seconds["first"] / 2
    assert seconds["total"] >= seconds["first"]
