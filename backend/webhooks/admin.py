"""Staff look here at what was sent to receivers; owners manage webhooks on their pages and through the API."""

from django.contrib import admin

from backend.videos.admin import ReadOnly
from backend.webhooks.models import Attempt, Delivery, Endpoint


@admin.register(Endpoint)
class EndpointAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "owner", "url", "enabled", "last_success_at", "disabled_reason", "created_at")
    list_filter = ("enabled",)
    list_select_related = ("owner",)
    search_fields = ("id", "url", "owner__username")
    exclude = ("secret", "old_secret")


class AttemptInline(ReadOnly, admin.TabularInline):
    model = Attempt
    fields = ("at", "status", "error", "milliseconds")
    ordering = ("id",)
    extra = 0


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "endpoint", "kind", "state", "attempts", "not_before", "created_at")
    list_filter = ("state", "kind")
    list_select_related = ("endpoint",)
    search_fields = ("id", "analysis_id", "endpoint__id", "endpoint__url")
    inlines = (AttemptInline,)
