"""The shapes of what the API answers about webhooks, for its description."""

from rest_framework import serializers

from backend.config.openapi import page_of
from backend.videos.schemas import Link
from backend.webhooks.models import PING, DeliveryState, EventType


class WebhookLinks(serializers.Serializer):
    self = Link()
    deliveries = Link()
    ping = Link()
    rotate_secret = Link()


class Webhook(serializers.Serializer):
    id = serializers.UUIDField()
    url = serializers.URLField()
    events = serializers.ListField(child=serializers.ChoiceField(EventType.values))
    enabled = serializers.BooleanField()
    disabled_reason = serializers.CharField(allow_null=True, help_text="In a sentence.")
    created_at = serializers.DateTimeField()
    last_success_at = serializers.DateTimeField(allow_null=True)
    links = WebhookLinks()


class WebhookWithSecret(Webhook):
    secret = serializers.CharField(help_text="What signs everything that is sent; it is not shown again.")


class Attempt(serializers.Serializer):
    at = serializers.DateTimeField()
    status = serializers.IntegerField(allow_null=True, help_text="Of the receiver's answer; null where none came.")
    error = serializers.CharField(allow_null=True, help_text="Why no answer came.")
    milliseconds = serializers.IntegerField()


class DeliveryLinks(serializers.Serializer):
    self = Link()
    replay = Link()


class Delivery(serializers.Serializer):
    id = serializers.UUIDField()
    message_id = serializers.CharField(help_text="The header `webhook-id`, the same at every attempt.")
    type = serializers.ChoiceField([*EventType.values, PING])
    analysis = serializers.UUIDField(allow_null=True)
    state = serializers.ChoiceField(DeliveryState.values)
    created_at = serializers.DateTimeField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    attempts = Attempt(many=True, help_text="The last hundred, oldest first.")
    links = DeliveryLinks()


WebhookPage = page_of(Webhook)
DeliveryPage = page_of(Delivery)
