"""The ledger. What must never be wrong about it is kept by the database: see the migrations."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from backend.accounts.owning import Owned


class LedgerEntry(models.Model):
    """Credits that a user got or spent; appended, never changed.

    The database numbers the entries of a user in the order of their balances and writes each balance itself.
    """

    class Kind(models.TextChoices):
        GRANT = "grant"  # of a plan, for one month
        LAPSE = "lapse"  # what was left of an earlier month's grant, or comes back of it late
        ADJUSTMENT = "adjustment"  # by staff, with a reason
        RESERVATION = "reservation"  # an analysis was asked for: the credits of its quote
        SETTLEMENT = "settlement"  # it succeeded: what was reserved and not used comes back
        REFUND = "refund"  # it failed or was cancelled: all that was reserved comes back

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="ledger", db_index=False
    )
    at = models.DateTimeField(db_default=Now(), editable=False)
    kind = models.TextField(choices=Kind.choices)
    credits = models.BigIntegerField()
    balance = models.BigIntegerField(db_default=0, editable=False)  # after this entry
    # No foreign key: the entry outlives the analysis.
    analysis_id = models.UUIDField(null=True, blank=True)
    month = models.DateField(
        null=True, blank=True
    )  # the first day of the month that it is granted for, or lapses in
    plan = models.TextField(blank=True, default="")
    reason = models.TextField(blank=True, default="")

    objects = Owned.as_manager()

    class Meta:
        verbose_name_plural = "ledger entries"
        indexes = [
            models.Index(fields=["user", "-id"], name="plans_ledger_newest"),
            # Not unique: a month has another grant when its plan changes, or what the plan brings.
            models.Index(fields=["user", "month"], condition=models.Q(kind="grant"), name="plans_ledger_granted"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "month"],
                condition=models.Q(kind="lapse", analysis_id__isnull=True),
                name="plans_ledger_lapsed_once",
            ),
            models.UniqueConstraint(
                fields=["analysis_id"], condition=models.Q(kind="lapse"), name="plans_ledger_lapsed_late_once"
            ),
            models.UniqueConstraint(
                fields=["analysis_id"], condition=models.Q(kind="reservation"), name="plans_ledger_reserved_once"
            ),
            models.UniqueConstraint(
                fields=["analysis_id"],
                condition=models.Q(kind__in=["settlement", "refund"]),
                name="plans_ledger_closed_once",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["lapse", "reservation"], credits__lte=0)
                | models.Q(kind__in=["grant", "settlement", "refund"], credits__gte=0)
                | models.Q(kind="adjustment"),
                name="plans_ledger_sign",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=["reservation", "settlement", "refund"], analysis_id__isnull=False)
                | models.Q(kind="grant", month__isnull=False, analysis_id__isnull=True)
                | models.Q(kind="lapse", month__isnull=False)  # with the analysis whose credits came back late
                | (models.Q(kind="adjustment", analysis_id__isnull=True) & ~models.Q(reason="")),
                name="plans_ledger_subject",
            ),
            models.CheckConstraint(condition=models.Q(balance__gte=0), name="plans_ledger_overdrawn"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.credits} credits"

    @staticmethod
    def owned_where(user: Any) -> models.Q:
        return models.Q(user=user)
