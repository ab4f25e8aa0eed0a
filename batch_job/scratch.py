"""A folder for what one process needs on the disk of a machine that others use too."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "framebatch-"


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder, removed at the end, together with those of processes that did not come to their end.

    The disk is the machine's and outlives the containers on it, and what a killed one leaves is a whole video. A
    process holds its folder locked; the kernel lets the lock go with the process, however that ends.
    """
    with _locked(parent):  # or another process might find the folder between its making and its being locked
        for left in parent.glob(f"{_PREFIX}*"):
            _remove_unless_held(left)
        made = tempfile.TemporaryDirectory(dir=parent, prefix=_PREFIX)
        held = _opened_and_locked(Path(made.name))
    try:
        with made:
            yield Path(made.name)
    finally:
        os.close(held)


def _remove_unless_held(folder: Path) -> None:
    with suppress(OSError):  # it is held, or somebody else's, or being removed by its owner
        descriptor = _opened_and_locked(folder, fcntl.LOCK_NB)
        try:
            shutil.rmtree(folder)
        finally:
            os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = _opened_and_locked(folder)
    try:
        yield
    finally:
        os.close(descriptor)


def _opened_and_locked(folder: Path, how: int = 0) -> int:
    """Its descriptor; to close it is to let the lock go. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
