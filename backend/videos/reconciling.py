"""Asks AWS Batch itself about jobs of which nothing was heard: an event may have been lost."""

import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from backend.gateways.batch_jobs import BATCH
from backend.videos.following import follow_if_free
from backend.videos.job_events import JobEvent, JobEventInvalid
from backend.videos.models import Analysis
from contract.statuses import AnalysisStatus

logger = logging.getLogger(__name__)

QUIET_AFTER = timedelta(minutes=5)  # a job at work writes with every chunk
# AWS Batch keeps ended jobs for a week. One that it does not know sooner is a sign of a wrong region or account,
# and then nothing may be closed.
FORGOTTEN_AFTER = timedelta(days=8)


class Jobs(Protocol):
    def describe(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]: ...


def reconcile_once(jobs: Jobs) -> int:
    """Applies what AWS Batch says as if it were an event, and returns how many jobs it asked about.

    Raises BatchUnavailable and Django's database errors.
    """
    quiet = _quiet()
    for start in range(0, len(quiet), BATCH):
        batch = quiet[start : start + BATCH]
        described = {job["jobId"]: job for job in jobs.describe(sorted({job_id for _, job_id, *_ in batch}))}
        for analysis_id, job_id, on_demand, forgotten in batch:
            known = {"analysis_id": analysis_id, "job_id": job_id}
            event = None
            if job_id in described:
                try:
                    event = JobEvent.from_detail(described[job_id])
                except JobEventInvalid as exc:  # of one job; the others are closed
                    logger.error("described job not readable", extra={**known, "fault": str(exc)})
            else:
                logger.warning("batch does not know a job", extra=known)
                event = _of_an_unknown_job(analysis_id, job_id, on_demand) if forgotten else None
            if event is not None:
                follow_if_free(event=event)
    return len(quiet)


def _quiet() -> list[tuple[UUID, str, bool, bool]]:
    """Analyses under way, each with the job that it follows, its kind, and whether Batch may have forgotten it."""
    forgotten = ExpressionWrapper(Q(updated_at__lt=Now() - FORGOTTEN_AFTER), output_field=BooleanField())
    rows = (
        Analysis.objects.filter(
            status__in=[AnalysisStatus.SUBMITTED.value, AnalysisStatus.RUNNING.value],
            updated_at__lt=Now() - QUIET_AFTER,
        )
        .order_by("updated_at")
        .values_list("pk", "claim_job_id", "batch_job_id", "on_demand", forgotten)
    )
    # Of an array, the array itself is asked about; it ends when all its jobs have.
    return [
        (pk, (claimed or known).partition(":")[0], on_demand, forgotten)
        for pk, claimed, known, on_demand, forgotten in rows
        if claimed or known
    ]


def _of_an_unknown_job(analysis_id: UUID, job_id: str, on_demand: bool) -> JobEvent:
    return JobEvent(
        analysis_id=analysis_id,
        job_id=job_id,
        state="FAILED",
        reason="AWS Batch does not know this job any more",
        details=(),
        ended_attempts=0,
        ever_started=True,
        on_demand=on_demand,
    )
