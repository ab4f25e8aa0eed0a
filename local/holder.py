"""One folder holds one stack, and says which process that is."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.errors import AlreadyRunning


@contextmanager
def only_one(path: Path, port: int) -> Iterator[None]:
    """Holds the checkout's one stack. The kernel lets the lock go with the process, however it ends."""
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = running_holder(path) or {"pid": "?", "port": "?"}
            raise AlreadyRunning(
                f"The stack already runs on port {holder['port']} (process {holder['pid']}); `make down` stops it."
            ) from exc
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "port": port}))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running_holder(path: Path) -> dict[str, Any] | None:
    """Process id and port of the stack that holds `path`, or None where none does."""
    try:
        with path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return dict(json.loads(file.read()))
    except FileNotFoundError:
        pass
    return None
