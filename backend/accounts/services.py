"""What changes accounts and API keys."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import BooleanField, ExpressionWrapper, Model, Q
from django.db.models.functions import Now
from django.utils import timezone

from backend.accounts.errors import MOST_API_KEYS, TooManyApiKeys
from backend.accounts.models import ApiKey, User
from backend.accounts.scopes import ALL
from backend.config.prepared import Prepared

Other = TypeVar("Other", bound=Model)

_KEY = re.compile(r"fb_(?P<prefix>[0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_LAST_USE_STEP = timedelta(minutes=1)
_GOOD = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=Now()))
_MOST_SHOWN = 200
# Of a key and its user, what requests ask for; whatever else is read when somebody asks.
_NEEDED = ("digest", "scopes", "last_used_at", "expires_at", "user__username", "user__is_active", "user__plan")
KEY_OF_PREFIX = Prepared(
    lambda prefix: ApiKey.objects.select_related("user").filter(prefix=prefix, revoked_at=None).only(*_NEEDED),
    "prefix",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewApiKey:
    row: ApiKey
    key: str  # the only time it is known


def create_api_key(
    *, user: User, name: str, scopes: Iterable[str] = ALL, expires_at: datetime | None = None
) -> NewApiKey:
    """Raises TooManyApiKeys."""
    prefix = secrets.token_hex(6)
    key = f"fb_{prefix}_{secrets.token_urlsafe(32)}"
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)  # counted one after another
        if ApiKey.objects.owned_by(user).filter(_GOOD).count() >= MOST_API_KEYS:
            raise TooManyApiKeys
        row = ApiKey.objects.create(
            user=user, name=name, prefix=prefix, digest=_digest(key), scopes=sorted(scopes), expires_at=expires_at
        )
        row.refresh_from_db()
    return NewApiKey(row=row, key=key)


def api_keys_of(user: User) -> list[ApiKey]:
    """All that are good, and the newest of those that were revoked or have expired; newest first."""
    good_first = ExpressionWrapper(_GOOD, BooleanField()).desc()
    keys = ApiKey.objects.owned_by(user).order_by(good_first, "-created_at", "-id")
    shown = keys[:_MOST_SHOWN]
    return sorted(shown, key=lambda key: (key.created_at, key.pk), reverse=True)


def revoke_api_key(*, user: User, api_key_id: int) -> bool:
    """False when the user has no such key; revoking twice is harmless."""
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().owned_by(user).filter(pk=api_key_id).first()
        if key is None:
            return False
        if key.revoked_at is None:
            ApiKey.objects.filter(pk=key.pk).update(revoked_at=Now())
        return True


def prefix_of(key: str) -> str | None:
    """What a key's row is found by; None where it has not the form of a key."""
    match = _KEY.fullmatch(key)
    return None if match is None else match["prefix"]


def use_api_key(key: str) -> ApiKey | None:
    """The row of a key that is not revoked or expired and whose user is active; notes the use, once a minute."""
    prefix = prefix_of(key)
    row = None if prefix is None else KEY_OF_PREFIX.first(prefix)
    return row if row is not None and _use(row, key) else None


def use_api_key_for(
    key: str, find: Callable[..., tuple[ApiKey, Other] | None], *values: Any
) -> tuple[ApiKey, Other] | None:
    """The key's row, as of `use_api_key`, and what `find` gives for the key's prefix and these values; None where
    either lacks.
    """
    prefix = prefix_of(key)
    found = None if prefix is None else find(prefix, *values)
    return found if found is not None and _use(found[0], key) else None


def _use(row: ApiKey, key: str) -> bool:
    """Whether this is the key and may be used; notes the use, once a minute."""
    now = timezone.now()
    # The secret has 256 random bits, so a fast hash is as good as a slow one.
    if not hmac.compare_digest(row.digest, _digest(key)) or not row.user.is_active:
        return False
    if row.expires_at is not None and row.expires_at <= now:
        return False
    stale = now - _LAST_USE_STEP
    if row.last_used_at is None or row.last_used_at < stale:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lt=stale)
        ApiKey.objects.filter(unnoted, pk=row.pk).update(last_used_at=Now())
    return True


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
