"""Numbers and tables as the page shows them."""

import textwrap
from collections.abc import Iterator, Sequence

WIDTH = 115


def number(value: float) -> str:
    """At most two digits behind the point, and none that say nothing."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def dollars(amount: float, digits: int = 2) -> str:
    """Cents always; with more `digits`, parts of a cent as far as there are any."""
    whole, _, parts = f"{amount:,.{digits}f}".partition(".")
    return f"{whole}.{parts[:2]}{parts[2:].rstrip('0')}"


def paragraph(*parts: str) -> str:
    """One paragraph or, where it begins with a dash, one item of a list."""
    indent = "  " if parts[0].startswith("- ") else ""
    return textwrap.fill(" ".join(parts), WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def head(cells: Sequence[str]) -> Iterator[str]:
    """A table's first two lines: words to the left, numbers to the right."""
    yield row(cells)
    yield "|---" + "|---:" * (len(cells) - 1) + "|"


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
