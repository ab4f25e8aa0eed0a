"""How long what failed waits for its next try."""

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

FIRST_DELAY_SECONDS = 2
LAST_DELAY_SECONDS = 300
_DOUBLED_AT_MOST = 10


def postponed(*, attempts: int, reason: str) -> dict[str, Any]:
    """The columns of a row after one more failure; `attempts` failed before it."""
    delay = min(FIRST_DELAY_SECONDS * 2 ** min(attempts, _DOUBLED_AT_MOST), LAST_DELAY_SECONDS)
    return {
        "attempts": attempts + 1,
        "last_error": reason,
        "not_before": Now() + timedelta(seconds=delay),
    }
