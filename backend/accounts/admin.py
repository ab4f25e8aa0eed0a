from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from backend.accounts.forms import AdminSignInForm
from backend.accounts.models import ApiKey, User


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    list_display = ("username", "plan", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("plan", "is_active", "is_staff")
    fieldsets = (*DjangoUserAdmin.fieldsets, ("Plan", {"fields": ("plan",)}))


admin.site.login_form = AdminSignInForm


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """Keys are made by their owners; staff can look and revoke."""

    list_display = ("prefix", "name", "user", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    list_filter = ("revoked_at",)
    search_fields = ("prefix", "name", "user__username")
    readonly_fields = (
        *("user", "name", "prefix", "scopes"),
        *("created_at", "last_used_at", "expires_at", "revoked_at"),
    )
    exclude = ("digest",)
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    @admin.action(description="Revoke", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        revoked = keys.filter(revoked_at=None).update(revoked_at=Now())
        self.message_user(request, f"{revoked} revoked.")
