"""Django's PostgreSQL, with a check of pooled connections that costs no round trip.

Django's own, CONN_HEALTH_CHECKS, asks the server something before every request. A server that goes away in order,
or whose machine resets the connection, shows here; one that vanishes without a word costs each pooled connection
one request, which is answered with 503 after `tcp_user_timeout`.
"""

import select
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg_pool import ConnectionPool


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> psycopg.Connection[Any]:
        """One that was alive when it was last heard of. Raises what psycopg raises where none can be had."""
        while True:
            connection: psycopg.Connection[Any] = super().get_new_connection(conn_params)
            if self.pool is None or not has_spoken(connection):
                return connection
            try:
                ConnectionPool.check_connection(connection)
            except psycopg.Error:
                # The pool makes another in its place, and gives up after its `timeout`.
                self.pool.putconn(connection)
            else:
                return connection


def has_spoken(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    """A server says nothing to a connection that asks nothing, unless it takes leave."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
