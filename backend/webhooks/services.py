"""What changes webhooks. Each verb owns its transaction, and raises WebhookGone where it was deleted meanwhile."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from backend.accounts.models import User
from backend.webhooks.errors import MOST_WEBHOOKS, TooManyWebhooks, WebhookDisabled, WebhookGone
from backend.webhooks.models import PING, Delivery, DeliveryState, Endpoint
from backend.webhooks.signing import new_secret

logger = logging.getLogger(__name__)

OLD_SECRET_STAYS = timedelta(hours=24)


def create_webhook(*, owner: User, url: str, events: Sequence[str]) -> Endpoint:
    """Raises TooManyWebhooks."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=owner.pk)  # counted one after another
        if Endpoint.objects.filter(owner=owner).count() >= MOST_WEBHOOKS:
            raise TooManyWebhooks
        endpoint = Endpoint.objects.create(owner=owner, url=url, events=list(events), secret=new_secret())
        endpoint.refresh_from_db()
    logger.info("webhook made", extra={"endpoint_id": endpoint.pk, "user_id": owner.pk})
    return endpoint


def change_webhook(endpoint: Endpoint, changes: Mapping[str, Any]) -> Endpoint:
    """Enabled again, it is sent what lay waiting."""
    with transaction.atomic():
        reason = {"disabled_reason": ""} if changes.get("enabled") else {}
        if changes.get("enabled") is False:
            reason = {"disabled_reason": "Its owner has disabled it."}
        _held(endpoint)
        Endpoint.objects.filter(pk=endpoint.pk).update(**changes, **reason)
        endpoint.refresh_from_db()
    return endpoint


def delete_webhook(endpoint: Endpoint) -> None:
    """With what is still to be sent to it, and its log.

    Its deliveries are locked first and then it, in the order in which `recording` comes to them. Else an attempt
    that is recorded, or an analysis that ends, meanwhile refers to what is gone, and the database undoes it all.
    """
    known = {"endpoint_id": endpoint.pk, "user_id": endpoint.owner_id}
    with transaction.atomic():
        list(Delivery.objects.select_for_update().filter(endpoint=endpoint).order_by("pk").values_list("pk"))
        list(Endpoint.objects.select_for_update().filter(pk=endpoint.pk).values_list("pk"))
        endpoint.delete()
    logger.info("webhook deleted", extra=known)


def rotate_secret(endpoint: Endpoint) -> Endpoint:
    """For a day everything is signed with both, so that the receiver can change over meanwhile."""
    with transaction.atomic():
        row = _held(endpoint)
        row.old_secret, row.secret = row.secret, new_secret()
        row.old_secret_until = Now() + OLD_SECRET_STAYS
        row.save(update_fields=["secret", "old_secret", "old_secret_until"])
        row.refresh_from_db()
    return row


def ping(endpoint: Endpoint) -> Delivery:
    """Raises WebhookDisabled."""
    with transaction.atomic():
        if not _held(endpoint).enabled:
            raise WebhookDisabled
        delivery = Delivery(endpoint=endpoint, kind=PING)
        delivery.save(force_insert=True)
        delivery.refresh_from_db()
    return delivery


def replay(delivery: Delivery) -> Delivery:
    """Sends it again, now, with the same id and body. Raises WebhookDisabled."""
    if not delivery.endpoint.enabled:
        raise WebhookDisabled
    with transaction.atomic():
        # What is being sent at this moment is left alone: it is being sent.
        Delivery.objects.filter(pk=delivery.pk, claimed_until=None).update(
            state=DeliveryState.PENDING.value, queued_at=Now(), not_before=Now(), attempts=0, finished_at=None
        )
        try:
            delivery.refresh_from_db()
        except Delivery.DoesNotExist:
            raise WebhookGone from None
    return delivery


def _held(endpoint: Endpoint) -> Endpoint:
    """As it stands now; until the transaction ends, nobody else changes or deletes it. Raises WebhookGone."""
    row = Endpoint.objects.select_for_update(no_key=True).filter(pk=endpoint.pk).first()
    if row is None:
        raise WebhookGone
    return row
