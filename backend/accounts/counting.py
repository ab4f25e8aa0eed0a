"""How often something was done in the current window of time, counted by all processes together.

One statement on one row, which does not wait for the disk: the table is not logged, and a crash of the server
begins all counts anew. Windows are fixed, so that a subject can do twice its most around the end of one.
"""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F

from backend.accounts.models import Count
from backend.config.prepared import run_prepared

LONGEST_WINDOW = timedelta(days=1)  # the worker forgets what began longer ago

_WINDOW = "date_bin(%(window)s, statement_timestamp(), 'epoch')"
_TAKE = f"""
    INSERT INTO {Count._meta.db_table} AS kept (subject, began_at, taken)
    VALUES (%(subject)s, {_WINDOW}, %(number)s)
    ON CONFLICT (subject) DO UPDATE SET
        taken = excluded.taken + CASE WHEN kept.began_at = excluded.began_at THEN kept.taken ELSE 0 END,
        began_at = excluded.began_at
    RETURNING taken, extract(epoch FROM began_at + %(window)s - statement_timestamp())::float8
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    count: int  # in this window, with what was just counted
    seconds_left: float  # until the window ends


def take(subject: str, window: timedelta, number: int = 1) -> Taken:
    """Counts so many, in a window of LONGEST_WINDOW at most. Raises Django's database errors."""
    count, seconds = run_prepared(  # type: ignore[misc]  # a row comes
        _TAKE, {"subject": subject, "window": window, "number": number}
    )
    return Taken(count=count, seconds_left=max(seconds, 0.0))


def give_back(subject: str) -> None:
    """Takes back what was counted last."""
    Count.objects.filter(subject=subject, taken__gt=0).update(taken=F("taken") - 1)
