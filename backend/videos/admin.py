"""Staff look and search here, and do what owners can do, through the same services.

Results and histories are read-only: the job and the worker own them, and no status is ever written by hand.
"""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from backend.videos.cancelling import cancel_analysis
from backend.videos.errors import RequestRefused
from backend.videos.models import Analysis, AnalysisEvent, DeadRequest, OutboxMessage, OwedCall, Video
from backend.videos.owed_calls import resume
from backend.videos.redriving import NothingToRedrive, redrive
from backend.videos.services import retry_analysis


class ReadOnly:
    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False


class Operated(ReadOnly):
    """Rows that staff act on without writing to them; who may change a model may act on it."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        options = self.model._meta  # type: ignore[attr-defined]
        return bool(request.user.has_perm(f"{options.app_label}.change_{options.model_name}"))

    def act(self, request: HttpRequest, rows: Iterable[Any], do: Callable[[Any], Any], done: str) -> None:
        """Each row for itself: one that refuses is told of, and does not stop the others."""
        count = 0
        for row in rows:
            try:
                do(row)
            except RequestRefused as exc:
                said = " ".join(sentence for sentences in exc.errors.values() for sentence in sentences)
                messages.error(request, f"{row}: {exc.sentence} {said}")
            except NothingToRedrive:
                messages.error(request, f"{row}: there is nothing to ask anew for.")
            else:
                count += 1
        messages.success(request, f"{count} {done}.")


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
class AnalysisAdmin(Operated, admin.ModelAdmin):
    list_display = ("id", "owner", "model", "status", "stage", "batch_state", "error_code", "created_at")
    list_filter = ("status", "error_code", "model", "plan", "created_at")
    list_select_related = ("owner",)
    search_fields = ("id", "owner__username", "batch_job_id", "claim_job_id", "video__filename")
    date_hierarchy = "created_at"
    inlines = (EventInline,)
    actions = ("cancel", "retry")

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel(self, request: HttpRequest, analyses: QuerySet[Analysis]) -> None:
        self.act(request, analyses, lambda analysis: cancel_analysis(analysis=analysis), "cancelled")

    @admin.action(description="Try again, for the owner", permissions=["operate"])
    def retry(self, request: HttpRequest, analyses: QuerySet[Analysis]) -> None:
        self.act(
            request,
            analyses.filter(deleted_at=None).select_related("owner"),
            lambda analysis: retry_analysis(owner=analysis.owner, analysis=analysis),
            "asked for again",
        )


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "analysis", "created_at", "sent_at", "attempts", "last_error")
    list_filter = (("sent_at", admin.EmptyFieldListFilter),)
    search_fields = ("analysis__id",)


@admin.register(DeadRequest)
class DeadRequestAdmin(Operated, admin.ModelAdmin):
    list_display = ("message_id", "analysis", "buried_at", "redriven_at")
    list_filter = (("redriven_at", admin.EmptyFieldListFilter),)
    actions = ("redrive",)
    search_fields = ("message_id", "analysis__id")
    date_hierarchy = "buried_at"

    @admin.action(description="Redrive: ask anew, for the owner", permissions=["operate"])
    def redrive(self, request: HttpRequest, letters: QuerySet[DeadRequest]) -> None:
        self.act(request, letters.order_by("id"), redrive, "redriven")


@admin.register(OwedCall)
class OwedCallAdmin(Operated, admin.ModelAdmin):
    list_display = ("kind", "subject", "created_at", "done_at", "attempts", "given_up_at", "last_error")
    list_filter = ("kind", ("done_at", admin.EmptyFieldListFilter), ("given_up_at", admin.EmptyFieldListFilter))
    search_fields = ("subject",)
    actions = ("resume",)

    @admin.action(description="Make again what was given up", permissions=["operate"])
    def resume(self, request: HttpRequest, calls: QuerySet[OwedCall]) -> None:
        messages.success(request, f"{resume(calls)} owed again.")
