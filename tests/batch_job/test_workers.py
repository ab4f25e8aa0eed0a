import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from batch_job.workers import computed_ahead


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


def test_results_come_in_the_order_of_the_pictures(pool: ThreadPoolExecutor) -> None:
    """Also where a later one is ready first."""

    def slow_first(picture: int) -> int:
        time.sleep(0.02 if picture % 3 == 0 else 0)
        return picture * picture

    results = computed_ahead(((f"tag {n}", n) for n in range(10)), slow_first, pool, 4)
    assert list(results) == [(f"tag {n}", n * n) for n in range(10)]


def test_no_more_pictures_are_taken_than_asked_for(pool: ThreadPoolExecutor) -> None:
    """Decoded frames are large; memory must not grow with the video."""
    taken: list[int] = []

    def pictures() -> Iterator[tuple[int, int]]:
        for number in range(100):
            taken.append(number)
            yield number, number

    results = computed_ahead(pictures(), lambda picture: picture, pool, 4)
    next(results)
    assert len(taken) == 4
    results.close()  # type: ignore[attr-defined]


def test_an_error_comes_at_its_pictures_place(pool: ThreadPoolExecutor) -> None:
    """What was found before it is stored."""

    def broken(picture: int) -> int:
        if picture == 2:
            raise MemoryError("no room")
        return picture

    results = computed_ahead(((n, n) for n in range(9)), broken, pool, 4)
    assert [next(results), next(results)] == [(0, 0), (1, 1)]
    with pytest.raises(MemoryError, match="no room"):
        next(results)


def test_nothing_runs_on_once_it_is_left(pool: ThreadPoolExecutor) -> None:
    """An interrupted job gives the network's memory back, which must not be in use then."""
    running = threading.Semaphore(0)
    at_work: set[int] = set()

    def slow(picture: int) -> int:
        at_work.add(picture)
        running.release()
        time.sleep(0.05)
        at_work.discard(picture)
        return picture

    results = computed_ahead(((n, n) for n in range(100)), slow, pool, 4)
    next(results)
    running.acquire()
    results.close()  # type: ignore[attr-defined]
    assert at_work == set()
