"""Staff look and search here. Results and histories are read-only: the job and the worker own them."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from backend.videos.models import Analysis, AnalysisEvent, DeadRequest, OutboxMessage, OwedCall, Video


class ReadOnly:
    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False


class EventInline(ReadOnly, admin.TabularInline):
    model = AnalysisEvent
    fields = ("at", "status", "source", "detail")
    ordering = ("id",)
    extra = 0


@admin.register(Video)
class VideoAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "filename", "owner", "status", "refusal_code", "size_bytes", "created_at")
    list_filter = ("status", "refusal_code", "created_at")
    list_select_related = ("owner",)
    search_fields = ("id", "filename", "owner__username")
    date_hierarchy = "created_at"


@admin.register(Analysis)
class AnalysisAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "owner", "model", "status", "stage", "batch_state", "error_code", "created_at")
    list_filter = ("status", "error_code", "model", "plan", "created_at")
    list_select_related = ("owner",)
    search_fields = ("id", "owner__username", "batch_job_id", "claim_job_id", "video__filename")
    date_hierarchy = "created_at"
    inlines = (EventInline,)


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "analysis", "created_at", "sent_at", "attempts", "last_error")
    list_filter = (("sent_at", admin.EmptyFieldListFilter),)
    search_fields = ("analysis__id",)


@admin.register(DeadRequest)
class DeadRequestAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("message_id", "analysis", "buried_at")
    search_fields = ("message_id", "analysis__id")
    date_hierarchy = "buried_at"


@admin.register(OwedCall)
class OwedCallAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("kind", "subject", "created_at", "done_at", "attempts", "last_error")
    list_filter = ("kind", ("done_at", admin.EmptyFieldListFilter))
    search_fields = ("subject",)
