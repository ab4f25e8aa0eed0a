"""Holds users to the limits of their plans (`contract.plans.LIMITS`)."""

from typing import Any

from django.db.models import Sum

from backend.accounts.models import User
from backend.config.prepared import run_prepared
from backend.plans.errors import FileTooLarge, MediaNotAllowed, StorageFull, TooManyAnalyses, VideoTooLong
from backend.plans.wording import another_plan, kind, kinds, length, size
from backend.videos.models import ACTIVE_STATUSES, Analysis, Video
from contract.plans import LIMITS, Media, Plan

# Not FOR UPDATE, for which every insert that names the user would have to wait.
_HOLD = f'SELECT id FROM "{User._meta.db_table}" WHERE id = %s FOR NO KEY UPDATE'
# The statuses stand in the text, so that a plan that is kept may use the index that has them as its condition.
_UNDER_WAY = f"""
    SELECT count(*) FROM "{Analysis._meta.db_table}"
    WHERE owner_id = %s AND status IN ({", ".join(f"'{status}'" for status in ACTIVE_STATUSES)})
"""


def require_size(owner: User, size_bytes: int) -> None:
    """Raises FileTooLarge."""
    most = LIMITS[Plan(owner.plan)].file_bytes
    if size_bytes > most:
        more = another_plan(lambda limits: limits.file_bytes >= size_bytes, lambda limits: size(limits.file_bytes))
        said = f"It has {size_bytes:,} bytes; your plan allows {size(most)}. Cut or compress it.{more}"
        raise FileTooLarge({"size_bytes": [said]})


def stored_bytes(owner: User) -> int:
    """What may lie in the bucket: every upload, as it was declared, from its start until the worker removed it."""
    return Video.objects.filter(owner=owner).aggregate(bytes=Sum("size_bytes"))["bytes"] or 0


def require_room(owner: User, size_bytes: int) -> None:
    """For one more upload; it counts while the account is held. Raises StorageFull."""
    most, stored = LIMITS[Plan(owner.plan)].stored_bytes, stored_bytes(owner)
    if stored + size_bytes > most:
        more = another_plan(
            lambda limits: limits.stored_bytes >= stored + size_bytes, lambda limits: size(limits.stored_bytes)
        )
        said = (
            f"It has {size_bytes:,} bytes and your other videos {stored:,}; your plan allows {size(most)} in all. "
            "Delete what you no longer need: its room is free once it has been removed, mostly within minutes."
            f"{more}"
        )
        raise StorageFull({"size_bytes": [said]})


def require_media(owner: User, facts: dict[str, Any]) -> None:
    """By what the probe found in the file, whatever it is called. Raises MediaNotAllowed."""
    allowed, container, codec = LIMITS[Plan(owner.plan)].media, facts["container"], facts["codec"]

    def holds(media: Media | None) -> bool:
        return media is None or (container in media.containers and codec in media.codecs)

    if not holds(allowed):
        more = another_plan(lambda limits: holds(limits.media), lambda limits: kinds(limits.media))
        said = f"It is {kind(container, codec)}; your plan allows {kinds(allowed)}. Convert it.{more}"
        raise MediaNotAllowed({"video": [said]})


def require_length(owner: User, seconds: float) -> None:
    """Raises VideoTooLong."""
    most = LIMITS[Plan(owner.plan)].video_seconds
    if seconds > most:
        more = another_plan(
            lambda limits: limits.video_seconds >= seconds, lambda limits: length(limits.video_seconds)
        )
        said = f"It lasts {length(seconds)}; your plan allows {length(most)}. Cut it into parts.{more}"
        raise VideoTooLong({"video": [said]})


def hold_account(owner: User) -> None:
    """Until the transaction ends, nobody else counts or spends what is this user's.

    Whoever locks several rows locks the user first, then videos, then analyses, then idempotency keys, or two wait
    for each other. What ends an analysis goes the other way: it has the row, and when it commits the ledger wants
    the user. So nobody who holds the user waits for an analysis that is not over.
    """
    if run_prepared(_HOLD, [owner.pk]) is None:
        raise User.DoesNotExist


def analyses_under_way(owner: User) -> int:
    (count,) = run_prepared(_UNDER_WAY, [owner.pk])  # type: ignore[misc]  # a count has a row
    return int(count)


def require_free_place(owner: User) -> None:
    """While the account is held and before the analysis is stored. Raises TooManyAnalyses."""
    most = LIMITS[Plan(owner.plan)].concurrent_analyses
    active = analyses_under_way(owner)
    if active >= most:
        more = another_plan(
            lambda limits: limits.concurrent_analyses > most, lambda limits: f"{limits.concurrent_analyses:,}"
        )
        said = f"{active:,} are queued or running; your plan allows {most:,}. Wait for one, or cancel one.{more}"
        raise TooManyAnalyses({"analyses": [said]})
