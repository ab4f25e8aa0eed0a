"""Stages that overlap: each runs in a thread of its own and hands its items on through a bounded buffer.

The slowest stage sets the speed, and memory does not grow with the number of items, because a stage waits when the
one after it is behind. Threads serve, because decoder, network, OpenCV and PostgreSQL's client all release the
interpreter's lock while they work.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


class Stopwatch:
    """Seconds each stage was busy: not those it waited for its input or for room in its output."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def seconds(self) -> dict[str, float]:
        """Busy seconds per stage, and as "total" those since this watch was made: fewer, as stages overlap."""
        return self._seconds | {"total": time.perf_counter() - self._started}

    def add(self, name: str, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(name, time.perf_counter() - started)


class Stage(Generic[Item]):
    """An iterator over `items` that is computed ahead, by at most `capacity` items, in a thread.

    An error in `items` is raised here, with its cause and traceback, after the items that came before it. As a
    stage reads from the one before it, the first error of a chain reaches the end of it. `upstream` is the stage
    that `items` read from: its waiting does not count as this one's work, and it is closed when this one ends.
    `halt` is called before each item is handed out and several times per second while there is none; it may raise.
    """

    def __init__(
        self,
        name: str,
        items: Iterator[Item],
        *,
        capacity: int,
        watch: Stopwatch,
        upstream: "Stage[Any] | None" = None,
        halt: Callable[[], None] = lambda: None,
    ) -> None:
        self._name = name
        self._items = items
        self._capacity = capacity
        self._watch = watch
        self._upstream = upstream
        self._halt = halt
        self._buffer: deque[Item] = deque()
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._ended = False
        self._closed = False
        self.waited_seconds = 0.0  # by the reader, for an item
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __iter__(self) -> "Stage[Item]":
        return self

    def __next__(self) -> Item:
        started = time.perf_counter()
        try:
            with self._changed:
                self._halt()
                while not self._buffer:
                    if self._error is not None:
                        raise self._error
                    if self._ended or self._closed:
                        raise StopIteration
                    self._changed.wait(timeout=0.2)
                    self._halt()
                item = self._buffer.popleft()
                self._changed.notify_all()
                return item
        finally:
            self.waited_seconds += time.perf_counter() - started

    def close(self) -> None:
        """Stops the thread, and the stages before it, and waits until they have stopped."""
        with self._changed:
            self._closed = True
            self._buffer.clear()
            self._changed.notify_all()
        if self._upstream is not None:
            self._upstream.close()
        self._thread.join()

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            while not self._closed:
                item = self._timed_next()
                with self._changed:
                    while len(self._buffer) >= self._capacity and not self._closed:
                        self._changed.wait()
                    self._buffer.append(item)
                    self._changed.notify_all()
        except StopIteration:
            pass
        except BaseException as exc:  # noqa: BLE001 - handed to the reader, whatever it is
            error = exc
        finally:
            close = getattr(self._items, "close", None)
            if close is not None:
                close()
            with self._changed:
                self._error = error
                self._ended = True
                self._changed.notify_all()

    def _timed_next(self) -> Item:
        started = time.perf_counter()
        waited = self._upstream.waited_seconds if self._upstream is not None else 0.0
        try:
            return next(self._items)
        finally:
            busy = time.perf_counter() - started
            if self._upstream is not None:
                busy -= self._upstream.waited_seconds - waited
            self._watch.add(self._name, busy)
