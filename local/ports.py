"""Ports on loopback."""

import socket
from argparse import ArgumentTypeError

from local.errors import PortInUse

HOST = "127.0.0.1"
_BACKLOG = 2048


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def port_number(text: str) -> int:
    """Of the command line, for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise ArgumentTypeError(f"{text} is no port, which is a whole number from 1 to 65535")
    return int(text)


def listening_on(port: int) -> socket.socket:
    """For a server that inherits it: whoever connects until then waits. 0 is any free port. Raises PortInUse."""
    try:
        return socket.create_server((HOST, port), backlog=_BACKLOG)
    except OSError as exc:
        raise PortInUse(port) from exc


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        # A server that has just stopped leaves connections in TIME_WAIT, which do not stop the next one.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True
