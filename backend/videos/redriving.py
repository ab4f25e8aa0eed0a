"""Asks anew for what was refused, once its cause is gone."""

import logging

from django.db import transaction
from django.db.models.functions import Now

from backend.videos.models import Analysis, DeadRequest
from backend.videos.services import retry_analysis
from contract.errors import ErrorCode

logger = logging.getLogger(__name__)


class NothingToRedrive(Exception):
    """The message names no analysis that failed because of it, or was redriven before."""


def redrive(dead: DeadRequest) -> Analysis:
    """A new analysis like the one that failed, which names it as `retry_of`; the message is kept, and marked.

    A failed analysis stays failed: its owner was told, and what it cost was given back. Raises NothingToRedrive
    and what `retry_analysis` raises.
    """
    with transaction.atomic():
        free = DeadRequest.objects.select_for_update(skip_locked=True).filter(pk=dead.pk, redriven_at=None)
        locked = free.first()
        failed = locked.analysis if locked is not None else None
        if failed is None or failed.deleted_at or failed.error_code != ErrorCode.SUBMISSION_FAILED:
            raise NothingToRedrive
        made = retry_analysis(owner=failed.owner, analysis=failed).analysis
        DeadRequest.objects.filter(pk=dead.pk).update(redriven_at=Now())
    logger.info("request redriven", extra={"message_id": dead.message_id, "analysis_id": made.pk})
    return made
