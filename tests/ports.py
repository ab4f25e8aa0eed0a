"""Ports for servers that take a number, and no socket."""

import socket


def reserved_port() -> socket.socket:
    """Of loopback, until the socket is closed: bound, and not listened on, so that nobody else gets it.

    The server that is told of it may listen there meanwhile, as it sets SO_REUSEADDR like every server.
    """
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    place.bind(("127.0.0.1", 0))
    return place


def port_of(place: socket.socket) -> int:
    port: int = place.getsockname()[1]
    return port
