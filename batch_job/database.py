"""A connection that outlives the restart of its server."""

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

from batch_job.errors import DatabaseUnavailable, SettingsInvalid

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

PATIENCE_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 5.0

_CONNECTION: dict[str, Any] = {
    "connect_timeout": 10,
    # A server that vanished without a word is noticed within half a minute, not after the kernel's two hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    # And the server notices as soon that a machine has vanished: until then it keeps what that machine had locked,
    # and the next attempt waits for it, by the default of most kernels for two hours.
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
}


class Database:
    """Runs transactions, and runs them again on a new connection where the old one was lost."""

    def __init__(
        self, url: str, *, pause: Callable[[float], None] = time.sleep, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        """`pause` waits so many seconds before another try; it may raise to give up early."""
        self._url = url
        self._pause = pause
        self._patience_seconds = patience_seconds
        self._connection: psycopg.Connection | None = None

    def transact(self, work: Callable[[psycopg.Connection, bool], Result]) -> Result:
        """Commits what `work` did and returns its result; rolls back and raises whatever it raises.

        `work` may run several times: its second argument says that an earlier try may have been committed although
        the answer was lost. Raises DatabaseUnavailable when the database stays away, and SettingsInvalid where the
        URL is none.
        """
        deadline = time.monotonic() + self._patience_seconds
        pause = _FIRST_PAUSE_SECONDS
        repeated = False
        while True:
            try:
                connection = self._connected()
                with connection.transaction():
                    return work(connection, repeated)
            except (psycopg.OperationalError, psycopg.InterfaceError) as exc:
                self.close()
                repeated = True
                if time.monotonic() + pause > deadline:
                    raise DatabaseUnavailable(type(exc).__name__) from exc
                logger.warning("database lost, trying again", extra={"error": type(exc).__name__})
            self._pause(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            try:
                self._connection = psycopg.connect(
                    self._url, autocommit=True, application_name="framebatch-job", **_CONNECTION
                )
            except psycopg.ProgrammingError:
                # From nothing, because libpq's message quotes the URL with its password.
                raise SettingsInvalid("DATABASE_URL is not understood") from None
        return self._connection
