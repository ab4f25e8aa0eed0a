"""Asks anew for what was refused, once its cause is gone."""

import logging

from django.db import transaction
from django.db.models.functions import Now

from backend.videos.models import Analysis, DeadRequest
from backend.videos.services import retry_analysis
from contract.errors import ErrorCode

logger = logging.getLogger(__name__)


class NothingToRedrive(Exception):
    """The message names no analysis that failed because of it, or one that was asked for anew since."""


def redrive(dead: DeadRequest) -> Analysis:
    """A new analysis like the one that failed, which names it as `retry_of`; the message is kept, and marked.

    A failed analysis stays failed: its owner was told, and what it cost was given back. Several messages may name
    it, and its owner may have tried again; it is asked for anew once. Raises NothingToRedrive and what
    `retry_analysis` raises.
    """
    with transaction.atomic():
        # The analysis is locked and not the message, as others name it too; and not its key, which they refer to.
        failed = Analysis.objects.select_for_update(no_key=True).filter(pk=dead.analysis_id).first()
        if failed is None or failed.deleted_at or failed.error_code != ErrorCode.SUBMISSION_FAILED:
            raise NothingToRedrive
        letters = DeadRequest.objects.filter(analysis=failed)
        if letters.exclude(redriven_at=None).exists() or failed.retries.exists():
            raise NothingToRedrive
        made = retry_analysis(owner=failed.owner, analysis=failed).analysis
        letters.update(redriven_at=Now())
    logger.info("request redriven", extra={"message_id": dead.message_id, "analysis_id": made.pk})
    return made
