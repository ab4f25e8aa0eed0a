"""Webhooks over HTTP, each of its owner alone. What is sent to them has a module of its own."""

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.models import User
from backend.accounts.scopes import Scope
from backend.config.openapi import Answer, documented
from backend.config.serializers import StrictSerializer
from backend.webhooks import errors, examples, schemas, services
from backend.webhooks.fields import EventsField, UrlField
from backend.webhooks.models import Endpoint, EventType


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
        rows = webhooks_of(request.user).order_by("created_at", "id")
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
        return Response(webhook_document(webhook_of(request.user, webhook_id)))

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
        changed = services.change_webhook(webhook_of(request.user, webhook_id), self.Input.read(request))
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
        services.delete_webhook(webhook_of(request.user, webhook_id))
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
        changed = services.rotate_secret(webhook_of(request.user, webhook_id))
        return Response(with_secret(changed), headers={"Cache-Control": "no-store"})


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


def webhooks_of(user: User) -> QuerySet[Endpoint]:
    return Endpoint.objects.owned_by(user)


def webhook_of(user: User, webhook_id: uuid.UUID) -> Endpoint:
    """Raises Http404, also where it is somebody else's."""
    endpoint = webhooks_of(user).filter(pk=webhook_id).first()
    if endpoint is None:
        raise Http404
    return endpoint
