"""What the pages say about webhooks and deliveries, in words."""

from http import HTTPStatus

from django.utils import timezone

from backend.webhooks.models import PING, Attempt, Delivery, DeliveryState, EventType

KINDS = {
    EventType.SUCCEEDED.value: "An analysis has succeeded",
    EventType.FAILED.value: "An analysis has failed",
    EventType.CANCELLED.value: "An analysis was cancelled",
    PING: "A test",
}


def delivery_sentence(delivery: Delivery) -> str:
    """What became of it, or what is to. When its next attempt is, the page says beside it."""
    if delivery.state == DeliveryState.DELIVERED:
        return "Delivered"
    if delivery.state == DeliveryState.FAILED:
        return "Failed"
    if not delivery.endpoint.enabled:
        return "Waits until the webhook is enabled"
    return "About to be sent" if delivery.not_before <= timezone.now() else "Will be tried again"


def attempt_sentence(attempt: Attempt) -> str:
    if attempt.status is None:
        return attempt.error
    said = f"Answered with {attempt.status}{_phrase(attempt.status)}."
    return f"{said} Redirects are not followed." if 300 <= attempt.status < 400 else said


def _phrase(status: int) -> str:
    """Receivers also answer with numbers that nobody has named."""
    return f" {HTTPStatus(status).phrase}" if status in {known.value for known in HTTPStatus} else ""
