"""Asks anew for what was refused, once its cause is gone."""

import logging

from django.db import transaction
from django.db.models.functions import Now

from backend.plans.limits import hold_account
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
    seen = Analysis.objects.select_related("owner").filter(pk=dead.analysis_id).first()
    if seen is None:
        raise NothingToRedrive
    with transaction.atomic():
        hold_account(seen.owner)
        # Under it, neither its owner nor another operator asks for it. It is locked against its removal; not its
        # key, which others refer to.
        failed = (
            Analysis.objects.select_for_update(no_key=True)
            .filter(pk=seen.pk, error_code=ErrorCode.SUBMISSION_FAILED.value)
            .first()
        )
        if failed is None or failed.deleted_at:
            raise NothingToRedrive
        letters = DeadRequest.objects.filter(analysis=failed)
        if letters.exclude(redriven_at=None).exists() or failed.retries.exists():
            raise NothingToRedrive
        made = retry_analysis(owner=seen.owner, analysis=failed).analysis
        letters.update(redriven_at=Now())
    logger.info("request redriven", extra={"message_id": dead.message_id, "analysis_id": made.pk})
    return made
