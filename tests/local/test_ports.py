"""Ports as they are given on the command line."""

from argparse import ArgumentTypeError

import pytest

from local.errors import PortInUse
from local.ports import listening_on, port_number


@pytest.mark.parametrize("text", ["0", "65536", "80000", "-1", "8e3", "", "web"])
def test_what_is_no_port_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"is no port, which is a whole number from 1 to 65535$"):
        port_number(text)


@pytest.mark.parametrize("text", ["1", "8000", "65535"])
def test_every_port_is_taken(text: str) -> None:
    assert port_number(text) == int(text)


def test_a_port_is_taken_from_then_on_by_whoever_listens() -> None:
    with listening_on(0) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortInUse, match=f"Port {port} is in use"):
            listening_on(port)
    with listening_on(port):
        pass
