"""Cancelling: at once in the database, and afterwards on the machines."""

import contextlib
import logging
from uuid import UUID

from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now

from backend.videos.errors import AnalysisOver
from backend.videos.held import is_held
from backend.videos.models import Analysis, AnalysisEvent, OutboxMessage, OwedCall
from backend.videos.owed_calls import owe
from contract.statuses import AnalysisStatus, may_become

logger = logging.getLogger(__name__)

# A job holds the row while it stores its results, which of a long video takes longer than anybody waits.
PATIENCE_MILLISECONDS = 2000


def cancel_analysis(*, analysis: Analysis) -> Analysis:
    """The analysis as it then stands; doing it twice is harmless. Raises AnalysisOver.

    Where its row is held for longer than a request should wait, the worker cancels it afterwards, unless the job
    has ended it by then.

    From here on its claim is refused: a job that has not begun finds nothing to do, and one that is at work loses
    the claim at its next write. The jobs that are known are ended by the worker, and so is every one of which an
    event tells later.
    """
    try:
        return _cancel(analysis)
    except OperationalError as exc:
        if not is_held(exc):
            raise
    owe(OwedCall.Kind.CANCEL_ANALYSIS, str(analysis.pk))
    analysis.refresh_from_db()
    return analysis


def cancel_owed(subject: str) -> None:
    """The cancelling that a request could not wait for. Raises Django's OperationalError while the row is held."""
    analysis = Analysis.objects.filter(pk=UUID(subject)).first()
    if analysis is not None:
        with contextlib.suppress(AnalysisOver):
            _cancel(analysis)


def _cancel(analysis: Analysis) -> Analysis:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {PATIENCE_MILLISECONDS}")
        cancelled = Analysis.objects.filter(
            pk=analysis.pk, status__in=may_become(AnalysisStatus.CANCELLED)
        ).update(status=AnalysisStatus.CANCELLED.value, stage="", finished_at=Now(), updated_at=Now())
        analysis.refresh_from_db()
        if cancelled:
            AnalysisEvent.objects.create(
                analysis=analysis, status=AnalysisStatus.CANCELLED.value, source="backend"
            )
            _take_back(analysis)
    if analysis.status != AnalysisStatus.CANCELLED:
        raise AnalysisOver(analysis.status)
    if cancelled:
        logger.info("analysis cancelled", extra={"analysis_id": analysis.pk, "user_id": analysis.owner_id})
    return analysis


def _take_back(analysis: Analysis) -> None:
    # A locked message is being sent at this moment; the events of its job will tell.
    unsent = OutboxMessage.objects.select_for_update(skip_locked=True).filter(analysis=analysis, sent_at=None)
    OutboxMessage.objects.filter(pk__in=list(unsent.values_list("pk", flat=True))).delete()
    # They differ where a second job, of a message that came twice, got the claim. An array is ended by its own id.
    jobs = {analysis.batch_job_id, (analysis.claim_job_id or "").partition(":")[0]}
    for job_id in sorted(jobs - {""}):
        owe(OwedCall.Kind.TERMINATE_JOB, job_id)
