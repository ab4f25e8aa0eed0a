"""Calls to AWS that the database owes: made at least once, each tried again until it succeeds or is given up."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from backend.gateways.errors import BatchUnavailable, StorageUnavailable
from backend.videos.models import OwedCall
from backend.videos.postponing import postponed

logger = logging.getLogger(__name__)

# Gives None once all is done; else, what it did stays done, and it is called again after so long.
Call = Callable[[str], timedelta | None]

# With the pauses of `postponing`, a day. What then still fails needs a person, and the log says so as an error.
MOST_ATTEMPTS = 290


def owe(kind: OwedCall.Kind, *subjects: str, after: timedelta = timedelta()) -> None:
    """In the transaction of the change that it follows from. What is owed or was done is not owed again."""
    calls = [OwedCall(kind=kind.value, subject=subject, not_before=Now() + after) for subject in subjects]
    OwedCall.objects.bulk_create(calls, ignore_conflicts=True)


def settle_once(calls: Mapping[str, Call]) -> int:
    """Makes one call that is due and returns how many it took on. Raises Django's database errors.

    `calls` has one function for each kind, which takes the subject and may be called again for what is done.
    """
    with transaction.atomic():
        # Locked rows are in another worker's hands.
        owed = (
            OwedCall.objects.select_for_update(skip_locked=True)
            .filter(done_at=None, given_up_at=None, not_before__lte=Now())
            .order_by("not_before", "id")
            .first()
        )
        if owed is None:
            return 0
        row = OwedCall.objects.filter(pk=owed.pk)
        known = {"kind": owed.kind, "subject": owed.subject}
        try:
            with transaction.atomic():
                again = calls[owed.kind](owed.subject)
        except (BatchUnavailable, StorageUnavailable) as exc:
            logger.warning("owed call postponed", extra={**known, "cause": str(exc)})
            _postpone(owed, str(exc))
        except Exception as exc:  # a fault that only this call meets must not hold up the others
            logger.exception("owed call failed", extra=known)
            _postpone(owed, f"{type(exc).__name__}: {exc}")
        else:
            if again is None:
                row.update(done_at=Now(), last_error="")
                logger.info("owed call made", extra=known)
            else:  # behind the others that are due
                row.update(not_before=Now() + again, attempts=0, last_error="")
                logger.debug("owed call goes on", extra=known)
    return 1


def resume(calls: QuerySet[OwedCall]) -> int:
    """Those of them that were given up are owed again; how many that were."""
    given_up = calls.filter(done_at=None).exclude(given_up_at=None)
    return given_up.update(given_up_at=None, attempts=0, not_before=Now())


def _postpone(owed: OwedCall, reason: str) -> None:
    changes = postponed(attempts=owed.attempts, reason=reason)
    if changes["attempts"] >= MOST_ATTEMPTS:
        changes["given_up_at"] = Now()
        logger.error("owed call given up", extra={"kind": owed.kind, "subject": owed.subject, "cause": reason})
    OwedCall.objects.filter(pk=owed.pk).update(**changes)
