"""What the owner of a webhook may write."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from rest_framework import serializers
from rest_framework.fields import empty

from backend.webhooks.addresses import is_loopback, is_public
from backend.webhooks.models import EventType


class UrlField(serializers.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2048, help_text="An https URL that the public internet reaches.", **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """What is wrong with the text; where its name leads is looked at whenever something is sent."""
        text = str(super().to_internal_value(data))
        try:
            url = urlsplit(text)
            host, port = url.hostname or "", 443 if url.port is None else url.port
        except ValueError:
            raise serializers.ValidationError("It must be a URL.") from None
        if not text.isascii() or not text.isprintable() or " " in text or not host:
            raise serializers.ValidationError("It must be a URL.")
        here = settings.WEBHOOKS_ALLOW_LOOPBACK and (host == "localhost" or is_loopback(host))
        if url.scheme != "https" and not (here and url.scheme == "http"):
            raise serializers.ValidationError("It must begin with https://.")
        if url.username is not None or url.password is not None or url.fragment:
            raise serializers.ValidationError("It must hold neither a user name nor a fragment.")
        if not here and ((_is_address(host) and not is_public(host)) or host.rstrip(".") == "localhost"):
            raise serializers.ValidationError("It must be reachable from the public internet.")
        if not here and settings.WEBHOOK_PORTS is not None and port not in settings.WEBHOOK_PORTS:
            ports = ", ".join(map(str, sorted(settings.WEBHOOK_PORTS)))
            raise serializers.ValidationError(f"Its port must be one that this installation can reach: {ports}.")
        return text


class EventsField(serializers.ListField):
    child = serializers.ChoiceField(choices=EventType.values)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=1, max_length=len(EventType.values), **kwargs)

    def run_validation(self, data: Any = empty) -> list[str]:
        """What was given is held against its limits before what is there twice is taken once."""
        return sorted(set(super().run_validation(data)))


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
