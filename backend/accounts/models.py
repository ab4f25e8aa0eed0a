"""Users, and the API keys programs use in their place."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from backend.accounts.owning import Owned
from contract.plans import Plan


class User(AbstractUser):
    """Django's user; a table of our own, because it cannot be swapped in later."""

    plan = models.TextField(
        choices=[(plan.value, plan.name.title()) for plan in Plan],
        default=Plan.FREE.value,
        db_default=Plan.FREE.value,
    )


class ApiKey(models.Model):
    """`fb_<prefix>_<secret>`. Only a digest of the secret is kept: whoever reads this table cannot use a key."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    name = models.TextField(help_text="What the key is for, in its owner's words.")
    prefix = models.TextField(unique=True, editable=False)
    digest = models.TextField(editable=False)
    scopes = ArrayField(models.TextField(), help_text="What it may be used for.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = Owned.as_manager()

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} (fb_{self.prefix}_…)"

    @staticmethod
    def owned_where(user: Any) -> models.Q:
        return models.Q(user=user)


class Count(models.Model):
    """How often a subject did something in one window of time; `counting` writes it. Its table is not logged."""

    subject = models.TextField(primary_key=True)
    began_at = models.DateTimeField()
    taken = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.taken} by {self.subject}"
