"""Limits and plans in plain words."""

from collections.abc import Callable

from contract.plans import LIMITS, Limits, Plan

_TIMES = ((3600, "h"), (60, "min"), (1, "s"))
_SIZES = ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB"), (1, "bytes"))


def length(seconds: float) -> str:
    """In the two largest units that say something: `1 h 5 min`, `12 min`, `0 s`."""
    left, parts = round(seconds), []
    for unit, name in _TIMES:
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def size(count: int) -> str:
    unit, name = next((pair for pair in _SIZES if count >= pair[0]), _SIZES[-1])
    return f"{round(count / unit, 1):g} {name}"


def another_plan(allows: Callable[[Limits], bool], says: Callable[[Limits], str]) -> str:
    """What to do besides asking for less: the cheapest plan that allows it, if there is one."""
    enough = next((plan for plan in reversed(Plan) if allows(LIMITS[plan])), None)
    return "" if enough is None else f" The plan {enough.name.title()} allows {says(LIMITS[enough])}."
