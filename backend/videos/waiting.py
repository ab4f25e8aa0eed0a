"""Jobs that no machine takes: to the On-Demand queue after a while, and at last to an end that the owner sees."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol

from django.db import transaction
from django.db.models import Count, Min, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from backend.gateways.batch_jobs import BATCH
from backend.videos.following import follow_job
from backend.videos.job_events import JobEvent, JobEventInvalid
from backend.videos.models import Analysis, OwedCall
from backend.videos.owed_calls import owe
from contract.statuses import AnalysisStatus

logger = logging.getLogger(__name__)

# For each queue, from when its job became RUNNABLE.
BLOCKED_ON_SPOT = timedelta(minutes=10)  # AWS Batch itself says that it cannot place the job
BLOCKED_ON_DEMAND = timedelta(minutes=60)
IN_LINE = timedelta(hours=4)  # others go first, until then
LONG = timedelta(minutes=30)  # somebody may want to know

_BLOCKED = Q(batch_reason__startswith="CAPACITY") | Q(batch_reason__startswith="MISCONFIGURATION")
# The parent of an array is PENDING while its jobs are RUNNABLE, and also while they are at work.
_WAITING = Q(batch_state="RUNNABLE") | Q(batch_state="PENDING", status=AnalysisStatus.SUBMITTED.value)


class Jobs(Protocol):
    def describe(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]: ...


def hurry_once(jobs: Jobs) -> int:
    """Decides about the jobs that have waited too long, and returns how many there were.

    AWS Batch is asked first: an event that the job has started may have been lost. Raises BatchUnavailable and
    Django's database errors.
    """
    job_ids = list(_overdue().values_list("batch_job_id", flat=True)[:BATCH])
    for described in jobs.describe(job_ids) if job_ids else ():
        try:
            event = JobEvent.from_detail(described)
        except JobEventInvalid:
            logger.exception("described job not readable")
            continue
        if event is None:
            continue
        if event.state not in ("PENDING", "RUNNABLE"):
            follow_job(event=event)
        else:
            _end(event)
    return len(job_ids)


def waiting_long() -> dict[str, int]:
    """How many jobs have waited for a machine for LONG, and for how long the first of them."""
    found = (
        _runnable()
        .filter(runnable_since__lt=Now() - LONG)
        .aggregate(jobs=Count("pk"), since=Min("runnable_since"))
    )
    since = found["since"]
    return {
        "jobs_waiting_long": found["jobs"],
        "longest_wait_seconds": int((timezone.now() - since).total_seconds()) if since else 0,
    }


def _runnable() -> QuerySet[Analysis]:
    return Analysis.objects.filter(
        _WAITING, status__in=[AnalysisStatus.SUBMITTED.value, AnalysisStatus.RUNNING.value]
    )


def _overdue() -> QuerySet[Analysis]:
    blocked = Q(on_demand=False, runnable_since__lt=Now() - BLOCKED_ON_SPOT) | Q(
        on_demand=True, runnable_since__lt=Now() - BLOCKED_ON_DEMAND
    )
    overdue = (_BLOCKED & blocked) | Q(runnable_since__lt=Now() - IN_LINE)
    return _runnable().filter(overdue).order_by("runnable_since")


def _end(event: JobEvent) -> None:
    """As if AWS Batch had ended the job: on Spot the last attempt On-Demand follows, and after that nothing."""
    logger.warning("job waits too long", extra={"analysis_id": event.analysis_id, "job_id": event.job_id})
    ended = replace(event, state="FAILED", ever_started=False, details=(), passing=not event.on_demand)
    with transaction.atomic():
        follow_job(event=ended)
        owe(OwedCall.Kind.TERMINATE_JOB, event.parent_id)
