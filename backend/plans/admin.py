"""Staff see every ledger, and give or take credits with a reason. Entries are never changed."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from backend.plans.credits import adjust, balance_of
from backend.plans.models import LedgerEntry


class AdjustmentForm(forms.ModelForm):
    """`reason` is shown to the user."""

    reason = forms.CharField(max_length=500, help_text="The user reads it in the ledger.")

    class Meta:
        model = LedgerEntry
        fields = ("user", "credits", "reason")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        user, credits = given.get("user"), given.get("credits")
        if credits == 0:
            raise ValidationError({"credits": "Give some, or take some with a minus."})
        if user is not None and credits is not None and (balance := balance_of(user)) + credits < 0:
            raise ValidationError({"credits": f"{user} has {balance:,}; no more can be taken."})
        return given


@admin.register(LedgerEntry)
class LedgerEntryAdmin(admin.ModelAdmin):
    form = AdjustmentForm
    list_display = ("at", "user", "kind", "credits", "balance", "analysis_id", "reason")
    list_filter = ("kind", "at")
    list_select_related = ("user",)
    search_fields = ("user__username", "analysis_id", "reason")
    autocomplete_fields = ("user",)
    date_hierarchy = "at"
    ordering = ("-id",)

    def has_change_permission(self, request: HttpRequest, obj: LedgerEntry | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: LedgerEntry | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: LedgerEntry, form: Any, change: bool) -> None:
        entry = adjust(obj.user, obj.credits, reason=obj.reason)
        obj.pk, obj.kind, obj.balance = entry.pk, entry.kind, entry.balance
