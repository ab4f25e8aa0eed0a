"""What is kept no longer than the settings say. Each turn takes a batch, so that no transaction becomes long."""

import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from backend.accounts.counting import LONGEST_WINDOW
from backend.accounts.models import Count
from backend.videos.deleting import delete_analysis
from backend.videos.idempotency import KEPT
from backend.videos.models import (
    Analysis,
    AnalysisEvent,
    IdempotencyKey,
    OutboxMessage,
    OwedCall,
    Video,
    VideoStatus,
)
from backend.videos.owed_calls import owe
from contract.statuses import TERMINAL

logger = logging.getLogger(__name__)

AT_A_TIME = 500

_OVER = [status.value for status in TERMINAL]


def forget_once() -> int:
    """Returns how many rows it took on; 0 when nothing is left to forget. Raises Django's database errors."""
    forgotten = {
        "analyses": _analyses(),
        "videos": _videos(),
        "records": _records(),
    }
    if any(forgotten.values()):
        logger.info("kept long enough", extra=forgotten)
    return sum(forgotten.values())


def _analyses() -> int:
    """As if their owners had deleted them: the rows and objects go soon afterwards."""
    if settings.KEEP_ANALYSES_DAYS is None:
        return 0
    old = Analysis.objects.filter(
        status__in=_OVER, deleted_at=None, finished_at__lt=Now() - timedelta(days=settings.KEEP_ANALYSES_DAYS)
    )
    chosen = list(old.select_related("owner").order_by("finished_at")[:AT_A_TIME])
    for analysis in chosen:
        delete_analysis(analysis=analysis)
    return len(chosen)


def _videos() -> int:
    """Those without any analysis, also without one that is about to be removed.

    Uploads expire by themselves, and one that is being put together or looked at has its turn afterwards: what S3
    makes of its parts meanwhile, nobody would know.
    """
    if settings.KEEP_VIDEOS_DAYS is None:
        return 0
    unused = Video.objects.filter(
        ~Exists(Analysis.objects.filter(video=OuterRef("pk"))),
        created_at__lt=Now() - timedelta(days=settings.KEEP_VIDEOS_DAYS),
    ).filter(status__in=[VideoStatus.READY.value, VideoStatus.REFUSED.value])
    with transaction.atomic():
        # Locked, so that no analysis of them is asked for meanwhile; and looked at again under the lock.
        locked = Video.objects.select_for_update(skip_locked=True).filter(pk__in=unused.values("pk")[:AT_A_TIME])
        ids = [video.pk for video in locked]
        chosen = list(unused.filter(pk__in=ids))
        for video in chosen:
            owe(OwedCall.Kind.REMOVE_OBJECT, video.key)
        Video.objects.filter(pk__in=[video.pk for video in chosen]).delete()
    return len(chosen)


def _records() -> int:
    """What only helped to carry things out, of analyses that are over; keys, sessions and counts that are too."""
    old = Now() - timedelta(days=settings.KEEP_RECORDS_DAYS)
    over = Q(analysis__status__in=_OVER, analysis__finished_at__lt=old)
    kinds = (
        IdempotencyKey.objects.filter(created_at__lt=Now() - KEPT),
        OutboxMessage.objects.filter(over, sent_at__lt=old),
        AnalysisEvent.objects.filter(over, at__lt=old),
        OwedCall.objects.filter(done_at__lt=old),
        Session.objects.filter(expire_date__lt=Now()),
        Count.objects.filter(began_at__lt=Now() - LONGEST_WINDOW),
    )
    return sum(_forgotten(kind) for kind in kinds)


def _forgotten(kind: QuerySet[Any]) -> int:
    """Locked first, in one order and without waiting: an owner's request clears away old keys as well."""
    with transaction.atomic():
        free = kind.select_for_update(skip_locked=True, of=("self",)).order_by("pk")
        ids = list(free.values_list("pk", flat=True)[:AT_A_TIME])
        return kind.model._base_manager.filter(pk__in=ids).delete()[0]
