"""Webhooks over HTTP, each of its owner alone."""

import uuid
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.scopes import Scope
from backend.config.openapi import Answer, documented
from backend.config.serializers import StrictSerializer
from backend.videos.pagination import Keyset, PageQuery, page_size_field
from backend.webhooks import errors, examples, schemas, services
from backend.webhooks.addresses import is_loopback, is_public
from backend.webhooks.models import Attempt, Delivery, DeliveryState, Endpoint, EventType

NEWEST_FIRST = Keyset(columns=("-created_at", "-id"))
ATTEMPTS_SHOWN = 100


class UrlField(serializers.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2048, help_text="An https URL that the public internet reaches.", **kwargs)

    def to_internal_value(self, data: Any) -> str:
        """What is wrong with the text; where its name leads is looked at whenever something is sent."""
        text = str(super().to_internal_value(data))
        try:
            url = urlsplit(text)
            host, port = url.hostname or "", url.port or 443
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

    def to_internal_value(self, data: Any) -> list[str]:
        return sorted(set(super().to_internal_value(data)))


class DeliveryQuery(PageQuery):
    page_size = page_size_field(default=50, most=200)
    state = serializers.MultipleChoiceField(
        choices=DeliveryState.values, required=False, help_text="Repeat it for several."
    )


class WebhookList(APIView):
    class Input(StrictSerializer):
        url = UrlField()
        events = EventsField(default=lambda: sorted(EventType.values))

    @documented(
        "list_webhooks",
        summary="List your webhooks",
        tag="Webhooks",
        scope=Scope.WEBHOOKS_READ,
        answers={
            200: Answer(
                description="All of them.", schema=schemas.WebhookPage, example=examples.page(examples.WEBHOOK)
            )
        },
    )
    def get(self, request: Request) -> Response:
        """Your webhooks, oldest first. Their secrets are not shown again."""
        rows = webhooks_of(request).order_by("created_at", "id")
        return Response({"results": [webhook_document(row) for row in rows], "next": None})

    @documented(
        "create_webhook",
        summary="Make a webhook",
        tag="Webhooks",
        scope=Scope.WEBHOOKS_WRITE,
        body=Input,
        body_example=examples.CREATE,
        answers={
            201: Answer(
                description="The webhook with its secret.",
                schema=schemas.WebhookWithSecret,
                example=examples.WITH_SECRET,
                headers={"Location": "The path of the webhook."},
            )
        },
        refusals=(errors.TooManyWebhooks,),
    )
    def post(self, request: Request) -> Response:
        """Has events sent to a URL. The secret that signs them is shown this one time."""
        made = services.create_webhook(owner=request.user, **self.Input.read(request))
        return Response(
            with_secret(made),
            status=status.HTTP_201_CREATED,
            headers={"Location": reverse("api-webhook", args=[made.pk]), "Cache-Control": "no-store"},
        )


class WebhookDetail(APIView):
    class Input(StrictSerializer):
        url = UrlField(required=False)
        events = EventsField(required=False)
        enabled = serializers.BooleanField(required=False)

    @documented(
        "get_webhook",
        summary="Get a webhook",
        tag="Webhooks",
        scope=Scope.WEBHOOKS_READ,
        answers={200: Answer(description="The webhook.", schema=schemas.Webhook, example=examples.WEBHOOK)},
    )
    def get(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """The webhook, and why it is disabled if it is."""
        return Response(webhook_document(_webhook(request, webhook_id)))

    @documented(
        "change_webhook",
        summary="Change a webhook",
        tag="Webhooks",
        scope=Scope.WEBHOOKS_WRITE,
        body=Input,
        body_example=examples.CHANGE,
        answers={200: Answer(description="The webhook.", schema=schemas.Webhook, example=examples.WEBHOOK)},
    )
    def patch(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Changes what is given. A disabled webhook misses what happens; what lay waiting comes afterwards."""
        changed = services.change_webhook(_webhook(request, webhook_id), self.Input.read(request))
        return Response(webhook_document(changed))

    @documented(
        "delete_webhook",
        summary="Delete a webhook",
        tag="Webhooks",
        scope=Scope.WEBHOOKS_WRITE,
        answers={204: Answer(description="It is gone.")},
    )
    def delete(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Deletes the webhook, what is still to be sent to it, and its log."""
        _webhook(request, webhook_id).delete()
        return Response(status=status.HTTP_204_NO_CONTENT)


class WebhookSecret(APIView):
    @documented(
        "rotate_webhook_secret",
        summary="Change a webhook's secret",
        tag="Webhooks",
        scope=Scope.WEBHOOKS_WRITE,
        answers={
            200: Answer(
                description="The webhook with its new secret.",
                schema=schemas.WebhookWithSecret,
                example=examples.WITH_SECRET,
            )
        },
    )
    def post(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Makes a new secret. For 24 hours everything is signed with the old one as well."""
        changed = services.rotate_secret(_webhook(request, webhook_id))
        return Response(with_secret(changed), headers={"Cache-Control": "no-store"})


class WebhookPing(APIView):
    @documented(
        "ping_webhook",
        summary="Try a webhook",
        tag="Webhooks",
        scope=Scope.WEBHOOKS_WRITE,
        answers={
            202: Answer(description="What is about to be sent.", schema=schemas.Delivery, example=examples.PENDING)
        },
        refusals=(errors.WebhookDisabled,),
    )
    def post(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """Sends an event of the type `webhook.ping`."""
        sent = services.ping(_webhook(request, webhook_id))
        return Response(delivery_document(sent), status=status.HTTP_202_ACCEPTED)


class DeliveryList(APIView):
    @documented(
        "list_deliveries",
        summary="List deliveries",
        tag="Webhooks",
        scope=Scope.WEBHOOKS_READ,
        query=DeliveryQuery,
        answers={
            200: Answer(
                description="A page of deliveries.",
                schema=schemas.DeliveryPage,
                example=examples.page(examples.DELIVERY),
            )
        },
    )
    def get(self, request: Request, webhook_id: uuid.UUID) -> Response:
        """What was sent to this webhook and what is to be, newest first; kept for 30 days."""
        rows = (
            Delivery.objects.owned_by(request.user)
            .filter(endpoint=_webhook(request, webhook_id))
            .prefetch_related("log")
        )
        query = DeliveryQuery.read(request)
        if query.get("state"):
            rows = rows.filter(state__in=query["state"])
        return Response(NEWEST_FIRST.page(request, rows, query).document(delivery_document))


class DeliveryDetail(APIView):
    @documented(
        "get_delivery",
        summary="Get a delivery",
        tag="Webhooks",
        scope=Scope.WEBHOOKS_READ,
        answers={200: Answer(description="The delivery.", schema=schemas.Delivery, example=examples.DELIVERY)},
    )
    def get(self, request: Request, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Response:
        """One delivery, with each attempt and what came of it."""
        return Response(delivery_document(_delivery(request, webhook_id, delivery_id)))


class DeliveryReplay(APIView):
    @documented(
        "replay_delivery",
        summary="Send a delivery again",
        tag="Webhooks",
        scope=Scope.WEBHOOKS_WRITE,
        answers={
            202: Answer(description="What is about to be sent.", schema=schemas.Delivery, example=examples.PENDING)
        },
        refusals=(errors.WebhookDisabled,),
    )
    def post(self, request: Request, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Response:
        """Sends it again, whatever came of it, with the same id and the same body."""
        again = services.replay(_delivery(request, webhook_id, delivery_id))
        return Response(delivery_document(again), status=status.HTTP_202_ACCEPTED)


def webhooks_of(request: Request) -> QuerySet[Endpoint]:
    return Endpoint.objects.owned_by(request.user)


def webhook_document(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": str(endpoint.pk),
        "url": endpoint.url,
        "events": endpoint.events,
        "enabled": endpoint.enabled,
        "disabled_reason": endpoint.disabled_reason or None,
        "created_at": endpoint.created_at,
        "last_success_at": endpoint.last_success_at,
        "links": {
            "self": reverse("api-webhook", args=[endpoint.pk]),
            "deliveries": reverse("api-webhook-deliveries", args=[endpoint.pk]),
            "ping": reverse("api-webhook-ping", args=[endpoint.pk]),
            "rotate_secret": reverse("api-webhook-rotate-secret", args=[endpoint.pk]),
        },
    }


def with_secret(endpoint: Endpoint) -> dict[str, Any]:
    return {**webhook_document(endpoint), "secret": endpoint.secret}


def delivery_document(delivery: Delivery) -> dict[str, Any]:
    where = [delivery.endpoint_id, delivery.pk]
    pending = delivery.state == DeliveryState.PENDING
    return {
        "id": str(delivery.pk),
        "message_id": delivery.message_id,
        "type": delivery.kind,
        "analysis": str(delivery.analysis_id) if delivery.analysis_id else None,
        "state": delivery.state,
        "created_at": delivery.created_at,
        "next_attempt_at": delivery.not_before if pending else None,
        "finished_at": delivery.finished_at,
        "attempts": [_attempt(attempt) for attempt in _log(delivery)],
        "links": {
            "self": reverse("api-webhook-delivery", args=where),
            "replay": reverse("api-webhook-delivery-replay", args=where),
        },
    }


def _log(delivery: Delivery) -> list[Attempt]:
    return sorted(delivery.log.all(), key=lambda attempt: attempt.pk)[-ATTEMPTS_SHOWN:]


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": attempt.at,
        "status": attempt.status,
        "error": attempt.error or None,
        "milliseconds": attempt.milliseconds,
    }


def _webhook(request: Request, webhook_id: uuid.UUID) -> Endpoint:
    endpoint = webhooks_of(request).filter(pk=webhook_id).first()
    if endpoint is None:
        raise Http404
    return endpoint


def _delivery(request: Request, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    rows = Delivery.objects.owned_by(request.user).select_related("endpoint")
    delivery = rows.filter(endpoint_id=webhook_id, pk=delivery_id).first()
    if delivery is None:
        raise Http404
    return delivery


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
