"""A file that can be read while it is still on its way: whoever is ahead of it waits for the bytes."""

import io
import os
import threading
from pathlib import Path
from typing import Any


class Abandoned(Exception):
    """Nobody wants the rest of the file."""


class ArrivingFile:
    """One thread adds to it from the beginning to the end, others read wherever they like."""

    def __init__(self, path: Path, *, size: int, etag: str = "") -> None:
        self.path = path
        self.etag = etag  # S3's name for this very content
        self.size = size  # in bytes, once all are there
        self._there = 0
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._file = path.open("wb", buffering=0)

    def __enter__(self) -> "ArrivingFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def there(self) -> int:
        """How many bytes have come."""
        return self._there

    def add(self, part: bytes) -> None:
        """Raises Abandoned."""
        if isinstance(self._error, Abandoned):
            raise self._error
        left = memoryview(part)
        while left:
            left = left[self._file.write(left) :]
        with self._changed:
            self._there += len(part)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """No more will come; who waits gets the error."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def abandon(self) -> None:
        """Whoever still waits, or adds, gets Abandoned."""
        self.fail(Abandoned())

    def opened(self) -> "str | _Reader":
        """What FFmpeg can open: the path, once everything is there."""
        return os.fspath(self.path) if self._there >= self.size else _Reader(self)

    def wait_for(self, position: int) -> int:
        """Waits for the byte at `position`, unless there is none; how many are there. Raises what failed."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or self._there > position or self._there >= self.size)
            if self._there <= position and self._error is not None:
                raise self._error
            return self._there


class _Reader(io.RawIOBase):
    """A position of its own in the file. FFmpeg does not close it: it does so itself, once nobody has it."""

    def __init__(self, file: ArrivingFile) -> None:
        self._file = file
        self._descriptor = os.open(file.path, os.O_RDONLY)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._file.wait_for(self._position) - self._position
        count = os.preadv(self._descriptor, [memoryview(buffer)[: max(left, 0)]], self._position)
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._file.size}[whence]
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()
