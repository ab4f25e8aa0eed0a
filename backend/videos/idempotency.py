"""Idempotency keys: a request that is sent again gets the analysis that the first one made.

After draft-ietf-httpapi-idempotency-key-header. Keys belong to their owner and are forgotten after a day.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self

from django.db.models import QuerySet
from django.db.models.functions import Now

from backend.accounts.models import User
from backend.videos.errors import IdempotencyKeyInvalid, IdempotencyKeyReused
from backend.videos.models import Analysis, IdempotencyKey

KEPT = timedelta(hours=24)
LONGEST = 255


def checked_key(key: str) -> None:
    """Raises IdempotencyKeyInvalid."""
    if not (0 < len(key) <= LONGEST and key.isascii() and key.isprintable()):
        raise IdempotencyKeyInvalid


class OneRequest:
    """What one owner asks for under one key."""

    def __init__(self, *, owner: User, key: str, asked: Mapping[str, Any]) -> None:
        """`asked` is the request as it was given, of JSON values. Raises IdempotencyKeyInvalid."""
        checked_key(key)
        self._owner = owner
        self._key = key
        self._digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    @classmethod
    def of(cls, *, owner: User, key: str | None, asked: Mapping[str, Any]) -> Self | None:
        return None if key is None else cls(owner=owner, key=key, asked=asked)

    def answered(self) -> Analysis | None:
        """The analysis that this request made when it came before. Raises IdempotencyKeyReused."""
        kept = self._keys().filter(key=self._key, created_at__gte=Now() - KEPT).select_related("analysis").first()
        return None if kept is None else self._analysis_of(kept)

    def take(self, analysis: Analysis) -> Analysis:
        """In the transaction that stores `analysis`, and before it: gives the analysis that counts.

        That is another one where the same request was faster; a transaction that is still open is waited for. The
        account is held: of all who delete keys, only retention does so without it, and that waits for nobody.
        Raises IdempotencyKeyReused.
        """
        self._keys().filter(created_at__lt=Now() - KEPT).delete()
        kept, taken = self._keys().get_or_create(
            owner=self._owner, key=self._key, defaults={"digest": self._digest, "analysis": analysis}
        )
        return analysis if taken else self._analysis_of(kept)

    def _keys(self) -> QuerySet[IdempotencyKey]:
        return IdempotencyKey.objects.filter(owner=self._owner)

    def _analysis_of(self, kept: IdempotencyKey) -> Analysis:
        if kept.digest != self._digest:
            raise IdempotencyKeyReused
        return kept.analysis
