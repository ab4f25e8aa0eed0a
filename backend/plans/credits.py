"""Credits: granted each month, reserved when an analysis is asked for, and what of them is spent.

Nothing here closes a reservation: the database does, in the transaction that ends the analysis, whoever ends it
(migrations/0002_ledger_rules.py). It also says which of a month's credits are left (0003_late_returns.py).
"""

import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime

from django.db import connection, transaction
from django.db.models import QuerySet, Sum

from backend.accounts.models import User
from backend.config.prepared import run_prepared
from backend.plans.errors import CreditsInsufficient
from backend.plans.limits import hold_account
from backend.plans.models import LedgerEntry
from backend.plans.wording import another_plan
from backend.videos.models import ACTIVE_STATUSES, Analysis
from contract.plans import LIMITS, Plan

logger = logging.getLogger(__name__)

Kind = LedgerEntry.Kind
_LEDGER = f'"{LedgerEntry._meta.db_table}"'
_GRANTED = f"""
    SELECT coalesce(sum(credits), 0)::bigint FROM {_LEDGER}
    WHERE user_id = %s AND kind = '{Kind.GRANT.value}' AND month = %s
"""
_BALANCE = f"SELECT balance FROM {_LEDGER} WHERE user_id = %s ORDER BY id DESC LIMIT 1"
_RESERVE = f"""
    INSERT INTO {_LEDGER} (user_id, kind, credits, analysis_id, plan, reason)
    VALUES (%s, '{Kind.RESERVATION.value}', %s, %s, '', '') RETURNING id
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credits:
    """`balance` is what may be reserved now: what is reserved already is not in it."""

    balance: int
    reserved: int  # by analyses that are not over
    used_this_month: int  # by those that succeeded this month
    next_grant_at: datetime


def balance_of(user: User) -> int:
    """Grants what this month has due first."""
    grant_month(user)
    return _balance(user)


def credits_of(user: User) -> Credits:
    balance = balance_of(user)
    month = _this_month()
    active = Analysis.objects.filter(owner=user, status__in=ACTIVE_STATUSES).values("pk")
    reserved = _ledger(user).filter(kind=Kind.RESERVATION, analysis_id__in=active)
    first = _grants(user, month).order_by("id").values("id")[:1]
    settled = _ledger(user).filter(kind=Kind.SETTLEMENT, id__gt=first)
    held = _ledger(user).filter(kind=Kind.RESERVATION, analysis_id__in=settled.values("analysis_id"))
    return Credits(
        balance=balance,
        reserved=-_sum(reserved),
        used_this_month=-_sum(held) - _sum(settled),
        next_grant_at=datetime.combine(_month_after(month), datetime.min.time(), UTC),
    )


def reserve(owner: User, analysis_id: uuid.UUID, credits: int) -> None:
    """In the transaction that stores the analysis, with the account held. Raises CreditsInsufficient."""
    balance = balance_of(owner)
    if balance < credits:
        monthly = LIMITS[Plan(owner.plan)].monthly_credits
        more = another_plan(
            lambda limits: limits.monthly_credits > max(monthly, credits),
            lambda limits: f"{limits.monthly_credits:,} a month",
        )
        said = (
            f"It is quoted at {credits:,} credits and you have {balance:,}. Analyse fewer frames (every_nth, "
            f"frames_per_second), or wait: your plan brings {monthly:,} a month, next on "
            f"{_month_after(_this_month()):%-d %B}.{more}"
        )
        raise CreditsInsufficient({"credits": [said]})
    run_prepared(_RESERVE, [owner.pk, -credits, analysis_id])


def adjust(user: User, credits: int, *, reason: str) -> LedgerEntry:
    """By staff. Raises Django's IntegrityError where the balance would fall below zero."""
    with transaction.atomic():
        hold_account(user)
        entry = LedgerEntry.objects.create(user=user, kind=Kind.ADJUSTMENT, credits=credits, reason=reason)
    logger.info("credits adjusted", extra={"user_id": user.pk, "credits": credits})
    return entry


def grant_month(user: User) -> None:
    """The credits of this month, once; what they have become more of since, by another plan or another number.

    What is left of an earlier month's grant lapses: credits of the plan are spent before those that staff gave.
    """
    month, due = _this_month(), LIMITS[Plan(user.plan)].monthly_credits
    if _granted(user, month) >= due:
        return
    with transaction.atomic():
        hold_account(user)
        granted = _granted(user, month)
        if granted >= due:
            return
        if not granted:
            _lapse(user, month)
        LedgerEntry.objects.create(user=user, kind=Kind.GRANT, credits=due - granted, month=month, plan=user.plan)
    logger.info("credits granted", extra={"user_id": user.pk, "credits": due - granted, "month": str(month)})


def _lapse(user: User, month: date) -> None:
    """With the account held. What comes back of it later, the database lets lapse."""
    last = _ledger(user).filter(kind=Kind.GRANT, month__lt=month).order_by("-month").first()
    if last is None:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT plans_left_of_grant(%s, %s)", [user.pk, last.month])
        (left,) = cursor.fetchone()
    left = min(left, _balance(user))  # staff may have taken some of it
    if left:
        LedgerEntry.objects.create(user=user, kind=Kind.LAPSE, credits=-left, month=month)


def _balance(user: User) -> int:
    newest = run_prepared(_BALANCE, [user.pk])
    return int(newest[0]) if newest else 0


def _granted(user: User, month: date) -> int:
    (granted,) = run_prepared(_GRANTED, [user.pk, month])  # type: ignore[misc]  # a sum has a row
    return int(granted)


def _ledger(user: User) -> QuerySet[LedgerEntry]:
    return LedgerEntry.objects.filter(user=user)


def _grants(user: User, month: date) -> QuerySet[LedgerEntry]:
    return _ledger(user).filter(kind=Kind.GRANT, month=month)


def _sum(entries: QuerySet[LedgerEntry]) -> int:
    return entries.aggregate(credits=Sum("credits"))["credits"] or 0


def _this_month() -> date:
    """The first day of the current month, UTC."""
    return datetime.now(UTC).date().replace(day=1)


def _month_after(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
