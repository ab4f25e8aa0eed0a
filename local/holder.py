"""One folder holds one stack, and says which process that is."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from local.errors import AlreadyRunning


@contextmanager
def only_one(path: Path, port: int) -> Iterator[Callable[[int], None]]:
    """Holds the checkout's one stack. The kernel lets the lock go with the process, however it ends.

    What it gives takes the port in the place of `port`, which may be 0 for any.
    """
    with _locked(path) as file:

        def tell(port: int) -> None:
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "port": port}))
            file.flush()

        tell(port)
        try:
            yield tell
        finally:
            path.unlink(missing_ok=True)


def _locked(path: Path) -> TextIO:
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            file.close()
            holder = running_holder(path) or {"pid": "?", "port": "?"}
            raise AlreadyRunning(
                f"The stack already runs on port {holder['port']} (process {holder['pid']}); `make down` stops it."
            ) from exc
        # Its last holder may have removed the file between our opening and our locking it.
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return file
        file.close()


def running_holder(path: Path) -> dict[str, Any] | None:
    """Process id and port of the stack that holds `path`, or None where none does."""
    try:
        with path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                # Empty for the moment between locking and writing.
                return dict(json.loads(file.read() or '{"pid": null, "port": null}'))
    except FileNotFoundError:
        pass
    return None
