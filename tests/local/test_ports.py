"""Ports as they are given on the command line."""

from argparse import ArgumentTypeError

import pytest

from local.ports import port_number


@pytest.mark.parametrize("text", ["0", "65536", "80000", "-1", "8e3", "", "web"])
def test_what_is_no_port_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"is no port, which is a whole number from 1 to 65535$"):
        port_number(text)


@pytest.mark.parametrize("text", ["1", "8000", "65535"])
def test_every_port_is_taken(text: str) -> None:
    assert port_number(text) == int(text)
