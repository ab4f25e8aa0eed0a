"""Where users want to be told that an analysis is over, and what was sent there."""

import uuid
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models.functions import Now

from backend.accounts.owning import Owned


class EventType(models.TextChoices):
    SUCCEEDED = "analysis.succeeded"
    FAILED = "analysis.failed"
    CANCELLED = "analysis.cancelled"


PING = "webhook.ping"


class Endpoint(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="webhooks")
    url = models.TextField()
    events = ArrayField(models.TextField(choices=EventType.choices))
    # As they are, because they sign; the API tells one only when it is made.
    secret = models.TextField(editable=False)
    old_secret = models.TextField(blank=True, default="", db_default="", editable=False)
    old_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    enabled = models.BooleanField(default=True, db_default=True)
    disabled_reason = models.TextField(blank=True, default="", db_default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_success_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = Owned.as_manager()

    def __str__(self) -> str:
        return self.url


class DeliveryState(models.TextChoices):
    PENDING = "pending"  # it is sent at `not_before`, unless its endpoint is disabled
    DELIVERED = "delivered"  # the receiver answered with 2xx
    FAILED = "failed"  # every attempt has failed, or the receiver wants no more


class Delivery(models.Model):
    """One event for one endpoint. Those of analyses are made by a trigger, with the event itself."""

    # The trigger names none.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, db_default=RandomUUID(), editable=False)
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event_id = models.BigIntegerField(null=True, editable=False)  # of the analysis' history; null for a ping
    analysis_id = models.UUIDField(null=True, editable=False)
    kind = models.TextField()
    body = models.TextField(
        blank=True, default="", db_default=""
    )  # made once, so that every attempt sends the same
    state = models.TextField(
        choices=DeliveryState.choices,
        default=DeliveryState.PENDING.value,
        db_default=DeliveryState.PENDING.value,
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    queued_at = models.DateTimeField(db_default=Now())  # when it was made, or last replayed
    not_before = models.DateTimeField(db_default=Now())
    claimed_until = models.DateTimeField(null=True, blank=True)  # until then a worker is about to send it
    attempts = models.SmallIntegerField(default=0, db_default=0)  # begun since it was queued, also by who died
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = Owned.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(fields=["endpoint", "-created_at", "-id"], name="webhooks_delivery_newest"),
            models.Index(
                fields=["endpoint", "not_before"],
                name="webhooks_delivery_pending",
                condition=models.Q(state=DeliveryState.PENDING.value),
            ),
            models.Index(
                fields=["endpoint"],
                name="webhooks_delivery_claimed",
                condition=models.Q(state=DeliveryState.PENDING.value, claimed_until__isnull=False),
            ),
            models.Index(fields=["created_at"], name="webhooks_delivery_age"),
        ]
        constraints = [models.UniqueConstraint(fields=["endpoint", "event_id"], name="webhooks_delivery_once")]

    def __str__(self) -> str:
        return f"{self.kind} ({self.state})"

    @property
    def message_id(self) -> str:
        """The same at every attempt: a receiver that knows it already has the event."""
        return f"msg_{self.pk.hex}"

    @staticmethod
    def owned_where(user: Any) -> models.Q:
        return models.Q(endpoint__owner=user)


class Attempt(models.Model):
    """One request that was sent, or could not be. The log, which `DELETE` of the endpoint removes."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField(db_default=Now())
    status = models.SmallIntegerField(null=True)  # HTTP's; null where no answer came
    error = models.TextField(blank=True, default="", db_default="")
    milliseconds = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.status or self.error}"
