"""Several pictures at once, one in each thread, and the results in the order of the pictures.

On a CPU this beats all cores on one picture: threads that share a layer wait for one another at its end, those of
different pictures never do. And with one thread per picture the order of every sum is fixed, so the numbers depend
neither on the neighbours nor on how many cores the machine has.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

from batch_job.detector import Tag

Picture = TypeVar("Picture")
Result = TypeVar("Result")


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def computed_ahead(
    pictures: Iterator[tuple[Tag, Picture]],
    compute: Callable[[Picture], Result],
    pool: ThreadPoolExecutor,
    ahead: int,
) -> Iterator[tuple[Tag, Result]]:
    """`compute` of each picture, in order and with its tag, with up to `ahead` of them begun and not yet read.

    An error of `compute` is raised at its picture's place. Nothing runs on after this iterator was closed.
    """
    running: deque[tuple[Tag, Future[Result]]] = deque()
    try:
        for tag, picture in pictures:
            running.append((tag, pool.submit(compute, picture)))
            if len(running) == ahead:
                tag, future = running.popleft()
                yield tag, future.result()
        while running:
            tag, future = running.popleft()
            yield tag, future.result()
    finally:
        for _, future in running:
            future.cancel()
        wait([future for _, future in running])
