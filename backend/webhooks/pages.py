"""Pages of webhooks. What their buttons ask for goes through the API, but for what has to show a secret."""

import uuid
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe
from rest_framework import serializers

from backend.videos.models import Analysis
from backend.webhooks import services
from backend.webhooks.apis import webhook_of, webhooks_of
from backend.webhooks.delivery_apis import NEWEST_FIRST, log_of
from backend.webhooks.errors import TooManyWebhooks
from backend.webhooks.fields import UrlField
from backend.webhooks.models import Delivery, DeliveryState, EventType
from backend.webhooks.wording import KINDS, attempt_sentence, delivery_sentence

DELIVERIES_SHOWN = 50  # as many as the API has on its first page, which the script reads
SOON = timedelta(minutes=1)


class WebhookForm(forms.Form):
    url = forms.CharField(
        label="Address",
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
        help_text="An https URL that the public internet reaches.",
    )
    events = forms.MultipleChoiceField(
        choices=[(event, f"{KINDS[event]} ({event})") for event in EventType.values],
        widget=forms.CheckboxSelectMultiple,
        label="What should be told?",
        error_messages={"required": "Tick what should be told."},
    )

    def clean_url(self) -> str:
        """As the API judges it, in its words."""
        try:
            url: str = UrlField().run_validation(self.cleaned_data["url"])
        except serializers.ValidationError as exc:
            raise forms.ValidationError([str(fault) for fault in exc.detail]) from None
        return url


@login_required
@require_http_methods(["GET", "POST"])
def webhooks(request: HttpRequest) -> HttpResponse:
    made = None
    form = WebhookForm(request.POST or None, initial={"events": EventType.values}, label_suffix="")
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_webhook(owner=request.user, **form.cleaned_data)
        except TooManyWebhooks as exc:
            form.add_error(None, exc.sentence)
        else:
            form = WebhookForm(initial={"events": EventType.values}, label_suffix="")
    response = render(request, "webhooks.html", {"webhooks": _listed(request), "made": made, "form": form})
    response["Cache-Control"] = "no-store"  # the page may show a secret
    return response


@require_safe
@login_required
def webhook(request: HttpRequest, webhook_id: uuid.UUID) -> HttpResponse:
    endpoint = webhook_of(request.user, webhook_id)
    state = request.GET.get("state", "")
    rows = _deliveries(request).filter(endpoint=endpoint)
    if state in DeliveryState.values:
        rows = rows.filter(state=state)
    found = list(rows.order_by(*NEWEST_FIRST.columns)[: DELIVERIES_SHOWN + 1])
    shown = found[:DELIVERIES_SHOWN]
    named = [delivery.analysis_id for delivery in shown if delivery.analysis_id]
    there = set(Analysis.objects.owned_by(request.user).filter(pk__in=named).values_list("pk", flat=True))
    context = {
        "webhook": endpoint,
        "deliveries": [{**_line(delivery), "linked": delivery.analysis_id in there} for delivery in shown],
        "more": len(found) > DELIVERIES_SHOWN,
        "state": state,
        "states": [("", "All"), *[(value, DeliveryState(value).label) for value in DeliveryState.values]],
    }
    return render(request, "webhook.html", context)


@login_required
@require_http_methods(["GET", "POST"])
def change_webhook(request: HttpRequest, webhook_id: uuid.UUID) -> HttpResponse:
    endpoint = webhook_of(request.user, webhook_id)
    initial = {"url": endpoint.url, "events": endpoint.events}
    form = WebhookForm(request.POST or None, initial=initial, label_suffix="")
    if request.method == "POST" and form.is_valid():
        services.change_webhook(endpoint, form.cleaned_data)
        messages.success(request, "The webhook was changed.")
        return redirect("webhook", endpoint.pk)
    return render(request, "webhook_change.html", {"webhook": endpoint, "form": form})


@login_required
@require_http_methods(["GET", "POST"])
def rotate_webhook_secret(request: HttpRequest, webhook_id: uuid.UUID) -> HttpResponse:
    if request.method == "GET":  # whoever had to sign in first is sent here; the button has to be pressed again
        return redirect("webhook-change", webhook_id)
    made = services.rotate_secret(webhook_of(request.user, webhook_id))
    form = WebhookForm(initial={"url": made.url, "events": made.events}, label_suffix="")
    response = render(request, "webhook_change.html", {"webhook": made, "form": form, "made": made})
    response["Cache-Control"] = "no-store"
    return response


def _listed(request: HttpRequest) -> list[dict[str, Any]]:
    """Each with its newest delivery; an index finds that without looking at the others."""
    newest = Delivery.objects.owned_by(request.user).filter(endpoint=OuterRef("pk"))
    found = webhooks_of(request.user).annotate(
        newest_id=Subquery(newest.order_by(*NEWEST_FIRST.columns).values("pk")[:1])
    )
    rows = list(found.order_by("created_at", "id"))
    deliveries = {
        delivery.pk: _line(delivery)
        for delivery in _deliveries(request).filter(pk__in=[row.newest_id for row in rows if row.newest_id])
    }
    return [{"row": row, "newest": deliveries.get(row.newest_id)} for row in rows]


def _deliveries(request: HttpRequest) -> QuerySet[Delivery]:
    return Delivery.objects.owned_by(request.user).select_related("endpoint").prefetch_related("log")


def _line(delivery: Delivery) -> dict[str, Any]:
    attempts = [{"row": attempt, "sentence": attempt_sentence(attempt)} for attempt in log_of(delivery)]
    sent_next = delivery.state == DeliveryState.PENDING and delivery.endpoint.enabled
    now = timezone.now()
    return {
        "delivery": delivery,
        "sentence": delivery_sentence(delivery),
        "kind": KINDS.get(delivery.kind, delivery.kind),
        "attempts": attempts,
        "last": attempts[-1] if attempts else None,
        "next_at": delivery.not_before if sent_next and delivery.not_before > now else None,
        "soon": sent_next and delivery.not_before <= now + SOON,
    }
