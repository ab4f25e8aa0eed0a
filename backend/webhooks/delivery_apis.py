"""What was sent to webhooks, and what is to be, over HTTP."""

import uuid
from typing import Any

from django.http import Http404
from django.urls import reverse
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.scopes import Scope
from backend.config.openapi import Answer, documented
from backend.videos.pagination import Keyset, PageQuery, page_size_field
from backend.webhooks import errors, examples, schemas, services
from backend.webhooks.apis import webhook_of
from backend.webhooks.models import Attempt, Delivery, DeliveryState

NEWEST_FIRST = Keyset(columns=("-created_at", "-id"))
ATTEMPTS_SHOWN = 100


class DeliveryQuery(PageQuery):
    page_size = page_size_field(default=50, most=200)
    state = serializers.MultipleChoiceField(
        choices=DeliveryState.values, required=False, help_text="Repeat it for several."
    )


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
        sent = services.ping(webhook_of(request.user, webhook_id))
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
            .filter(endpoint=webhook_of(request.user, webhook_id))
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
        "attempts": [_attempt(attempt) for attempt in log_of(delivery)],
        "links": {
            "self": reverse("api-webhook-delivery", args=where),
            "replay": reverse("api-webhook-delivery-replay", args=where),
        },
    }


def log_of(delivery: Delivery) -> list[Attempt]:
    return sorted(delivery.log.all(), key=lambda attempt: attempt.pk)[-ATTEMPTS_SHOWN:]


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": attempt.at,
        "status": attempt.status,
        "error": attempt.error or None,
        "milliseconds": attempt.milliseconds,
    }


def _delivery(request: Request, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
    rows = Delivery.objects.owned_by(request.user).select_related("endpoint")
    delivery = rows.filter(endpoint_id=webhook_id, pk=delivery_id).first()
    if delivery is None:
        raise Http404
    return delivery
