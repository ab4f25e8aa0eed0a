"""Asks AWS Batch itself about jobs of which nothing was heard: an event may have been lost."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from django.db.models import BooleanField, ExpressionWrapper, Q
from django.db.models.functions import Now

from backend.gateways.batch_jobs import BATCH
from backend.videos.following import each_for_itself, follow_job, known_of
from backend.videos.job_events import Ignore, JobEvent, JobEventInvalid, Known, verdict
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
        described = {job["jobId"]: job for job in jobs.describe(sorted({_job_of(analysis) for analysis in batch}))}
        for analysis in batch:
            event = _told_of(analysis, described)
            # What is as it was, as of most that wait in line, is neither locked nor told of, minute by minute.
            if event is not None and not isinstance(verdict(event, known_of(analysis)), Ignore):
                with each_for_itself(event):
                    follow_job(event=event)
    return len(quiet)


def _told_of(analysis: Analysis, described: Mapping[str, Mapping[str, Any]]) -> JobEvent | None:
    """What AWS Batch says of its job; None where that is nothing, or nothing that can be read."""
    job_id = _job_of(analysis)
    known = {"analysis_id": analysis.pk, "job_id": job_id}
    if job_id in described:
        try:
            return JobEvent.from_detail(described[job_id])
        except JobEventInvalid as exc:  # of one job; the others are closed
            logger.error("described job not readable", extra={**known, "fault": str(exc)})
            return None
    logger.warning("batch does not know a job", extra=known)
    return _of_an_unknown_job(analysis.pk, job_id, analysis.on_demand) if analysis.forgotten else None


def _quiet() -> list[Analysis]:
    """Analyses under way that follow a job, each with `forgotten`: Batch may know that no more."""
    forgotten = ExpressionWrapper(Q(updated_at__lt=Now() - FORGOTTEN_AFTER), output_field=BooleanField())
    rows = (
        Analysis.objects.filter(
            status__in=[AnalysisStatus.SUBMITTED.value, AnalysisStatus.RUNNING.value],
            updated_at__lt=Now() - QUIET_AFTER,
        )
        .order_by("updated_at")
        .only(*(field.name for field in fields(Known)))
        .annotate(forgotten=forgotten)
    )
    return [analysis for analysis in rows if _job_of(analysis)]


def _job_of(analysis: Analysis) -> str:
    """Of an array, the array itself is asked about; it ends when all its jobs have."""
    return (analysis.claim_job_id or analysis.batch_job_id).partition(":")[0]


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
