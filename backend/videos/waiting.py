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
from backend.videos.following import each_for_itself, follow_job
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


class Jobs(Protocol):
    def describe(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]: ...


def hurry_once(jobs: Jobs) -> int:
    """Decides about the jobs that have waited too long, and returns how many there were.

    AWS Batch is asked first: an event that the job has started may have been lost. Raises BatchUnavailable and
    Django's database errors.
    """
    job_ids = list(_overdue().values_list("batch_job_id", flat=True))
    for start in range(0, len(job_ids), BATCH):
        for described in jobs.describe(job_ids[start : start + BATCH]):
            _decide(described)
    return len(job_ids)


def waiting_long() -> dict[str, int]:
    """How many jobs have waited for a machine for LONG, and for how long the first of them."""
    found = _under_way().filter(_waits_for(LONG)).aggregate(jobs=Count("pk"), since=Min("runnable_since"))
    since = found["since"]
    return {
        "jobs_waiting_long": found["jobs"],
        "longest_wait_seconds": int((timezone.now() - since).total_seconds()) if since else 0,
    }


def _under_way() -> QuerySet[Analysis]:
    return Analysis.objects.filter(status__in=[AnalysisStatus.SUBMITTED.value, AnalysisStatus.RUNNING.value])


def _overdue() -> QuerySet[Analysis]:
    blocked = (Q(on_demand=False) & _waits_for(BLOCKED_ON_SPOT)) | (
        Q(on_demand=True) & _waits_for(BLOCKED_ON_DEMAND)
    )
    return _under_way().filter((_BLOCKED & blocked) | _waits_for(IN_LINE)).order_by("runnable_since")


def _waits_for(time: timedelta) -> Q:
    """An array is PENDING while some of its jobs are RUNNABLE; those at work write with every chunk."""
    quiet = Q(batch_state="RUNNABLE") | Q(batch_state="PENDING", updated_at__lt=Now() - time)
    return quiet & Q(runnable_since__lt=Now() - time)


def _decide(described: Mapping[str, Any]) -> None:
    try:
        event = JobEvent.from_detail(described)
    except JobEventInvalid:
        logger.exception("described job not readable")
        return
    if event is None:
        return
    with each_for_itself(event):
        if _is_waiting(event, described):
            _end(event)
        else:
            follow_job(event=event)


def _is_waiting(event: JobEvent, described: Mapping[str, Any]) -> bool:
    """An array waits when some of its jobs do and none is at work; one that draws a video writes nothing."""
    if event.state != "PENDING":
        return event.state == "RUNNABLE"
    jobs = (described.get("arrayProperties") or {}).get("statusSummary") or {}
    return bool(jobs.get("RUNNABLE")) and not (jobs.get("STARTING") or jobs.get("RUNNING"))


def _end(event: JobEvent) -> None:
    """As if AWS Batch had ended the job: on Spot the last attempt On-Demand follows, and after that nothing."""
    logger.warning("job waits too long", extra={"analysis_id": event.analysis_id, "job_id": event.job_id})
    ended = replace(event, state="FAILED", ever_started=False, details=(), passing=not event.on_demand)
    with transaction.atomic():
        follow_job(event=ended)
        owe(OwedCall.Kind.TERMINATE_JOB, event.parent_id)
