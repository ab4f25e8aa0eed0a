"""What is shipped has the versions that everybody here tests with."""

import re

import pytest

from tools.lock import REPOSITORY, SHIPPED

_PIN = re.compile(r"(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("group", sorted(SHIPPED))
def test_a_shipped_lock_agrees_with_the_constraints(group: str):
    """Two files name versions; `make lock` writes both, and a hand that edits one is told here."""
    constraints = (REPOSITORY / "constraints.txt").read_text().splitlines()
    lines = [line for line in (REPOSITORY / SHIPPED[group]).read_text().splitlines() if not line.startswith("#")]

    pins = [_PIN.fullmatch(line) for line in lines]
    assert pins
    assert all(pins), "a line lacks its sha256"
    assert {f"{pin[1]}=={pin[2]}" for pin in pins if pin} <= set(constraints)
