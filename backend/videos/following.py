"""Carries what AWS Batch says over to the analyses."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce, Now

from backend.videos.failing import tell_of_failure
from backend.videos.held import is_held
from backend.videos.job_events import (
    Blocked,
    Close,
    Ignore,
    JobEvent,
    Known,
    Move,
    Record,
    Stop,
    failure_of,
    verdict,
)
from backend.videos.models import Analysis, AnalysisEvent, OutboxMessage, OwedCall
from backend.videos.owed_calls import owe
from backend.videos.problems import DATABASE_AWAY
from contract.errors import FAILURES, ErrorCode
from contract.messages import AnalysisRequest, MessageInvalid
from contract.statuses import AnalysisStatus, may_become

logger = logging.getLogger(__name__)


def follow_job(*, event: JobEvent) -> None:
    """Applies one event. Repeated, late and reordered events leave things as they are."""
    with transaction.atomic():
        # The lock keeps the job's claim and its end from slipping in between reading and writing.
        analysis = Analysis.objects.select_for_update().filter(pk=event.analysis_id).first()
        if analysis is None:
            logger.warning("job event of an unknown analysis", extra=_identities(event))
            return
        known = known_of(analysis)
        match verdict(event, known):
            case Ignore(why=why):
                logger.info("job event ignored", extra={**_identities(event), "why": why})
            case Stop():
                # Also one that was submitted, or became known, only after nobody needed it any more.
                owe(OwedCall.Kind.TERMINATE_JOB, event.parent_id)
            case Move():
                _move(analysis, event)
            case Close(code=code):
                _close(analysis, event, code)
            case Blocked():
                # `updated_at` says when one of its jobs was last at work, and none is here.
                _write(analysis, event, {"batch_reason": event.reason}, {})
            case Record():
                Analysis.objects.filter(pk=analysis.pk).update(**_batch_columns(analysis, event))
                if known.status == AnalysisStatus.FAILED:  # as its job has said itself
                    tell_of_failure(analysis_id=analysis.pk, code=ErrorCode(analysis.error_code))
            case _:
                _note(analysis, event)


def known_of(analysis: Analysis) -> Known:
    return Known(
        status=AnalysisStatus(analysis.status),
        on_demand=analysis.on_demand,
        claim_job_id=analysis.claim_job_id,
        batch_job_id=analysis.batch_job_id,
        batch_state=analysis.batch_state,
        batch_reason=analysis.batch_reason,
        batch_attempts=analysis.batch_attempts,
    )


@contextmanager
def each_for_itself(event: JobEvent) -> Iterator[None]:
    """For those who look at many, around what one of them meets.

    One whose row is held for long, as by its job, has its turn another time, and so has one that meets a fault of
    ours. Raises Django's database errors where the database is away.
    """
    try:
        yield
    except DATABASE_AWAY as exc:
        if not is_held(exc):
            raise
        logger.warning("analysis is held", extra=_identities(event))
    except Exception:
        logger.exception("job not followed", extra=_identities(event))


def _note(analysis: Analysis, event: JobEvent) -> None:
    changes = _batch_columns(analysis, event)
    if analysis.status == AnalysisStatus.QUEUED:
        changes["status"] = AnalysisStatus.SUBMITTED.value
    _write(analysis, event, changes, {})


def _move(analysis: Analysis, event: JobEvent) -> None:
    """To an On-Demand machine: the request is sent once more, and the Lambda makes another job of it."""
    request = _request_of(analysis)
    if request is None:
        _close(analysis, event, failure_of(event))
        return
    changes = {
        "status": AnalysisStatus.QUEUED.value,
        "on_demand": True,
        "stage": "",
        "claim_job_id": None,
        "claim_attempt": None,
        "batch_job_id": "",
        "batch_state": "",
        "batch_reason": "",
        "batch_attempts": 0,
        "runnable_since": None,
        "updated_at": Now(),
    }
    _write(analysis, event, changes, {"on_demand": True})
    OutboxMessage.objects.create(analysis=analysis, body=replace(request, on_demand=True).to_json())
    # Of an array, other jobs may be at work; of a single job that has ended this is one call too many.
    owe(OwedCall.Kind.TERMINATE_JOB, event.parent_id)


def _request_of(analysis: Analysis) -> AnalysisRequest | None:
    message = OutboxMessage.objects.filter(analysis=analysis).order_by("-id").first()
    try:
        return None if message is None else AnalysisRequest.from_json(message.body)
    except MessageInvalid:
        logger.exception("kept request not readable", extra={"analysis_id": analysis.pk})
        return None


def _close(analysis: Analysis, event: JobEvent, code: ErrorCode) -> None:
    failure = FAILURES[code]
    changes = {
        **_batch_columns(analysis, event),
        "status": AnalysisStatus.FAILED.value,
        "error_code": code.value,
        "error_message": failure.sentence,
        "error_retryable": failure.retryable,
        "finished_at": Now(),
    }
    _write(analysis, event, changes, {"code": code.value})
    tell_of_failure(analysis_id=analysis.pk, code=code)


def _write(analysis: Analysis, event: JobEvent, changes: dict[str, Any], detail: dict[str, Any]) -> None:
    status = changes.get("status", analysis.status)
    allowed = may_become(AnalysisStatus(status)) if status != analysis.status else [status]
    # The row is locked, so this always matches; the guard is what every other writer relies on as well.
    if not Analysis.objects.filter(pk=analysis.pk, status__in=allowed).update(**changes):
        logger.warning("transition refused", extra={**_identities(event), "to": status})
        return
    AnalysisEvent.objects.create(
        analysis=analysis,
        status=status,
        source="batch",
        detail={
            "job_id": event.job_id,
            "state": event.state,
            **({"reason": event.reason} if event.reason else {}),
            **detail,
        },
    )
    logger.info("job event applied", extra={**_identities(event), "status": status})


def _batch_columns(analysis: Analysis, event: JobEvent) -> dict[str, Any]:
    # Of an array PENDING means that some of its jobs are RUNNABLE; the array itself never is.
    waits = event.state in ("RUNNABLE", "PENDING")
    waited = (analysis.batch_job_id, analysis.batch_state) == (event.parent_id, event.state)
    since = Coalesce("runnable_since", Now()) if waited else Now()
    return {
        "runnable_since": since if waits else None,
        "batch_job_id": event.parent_id,
        "batch_state": event.state,
        "batch_reason": event.reason,
        "batch_attempts": event.ended_attempts,
        "submitted_at": Coalesce("submitted_at", Now()),
        "updated_at": Now(),
    }


def _identities(event: JobEvent) -> dict[str, Any]:
    return {"analysis_id": event.analysis_id, "job_id": event.job_id, "state": event.state}
