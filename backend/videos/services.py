"""What asks for analyses. Each verb owns its transaction."""

import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.db import transaction

from backend.accounts.models import User
from backend.config.prepared import Prepared, run_prepared
from backend.plans.credits import reserve
from backend.plans.limits import hold_account, require_free_place
from backend.plans.quotes import Asked, Quote
from backend.videos.catalogue import catalogue
from backend.videos.errors import (
    AnalysisNotRetryable,
    RequestInvalid,
    VideoNotFound,
    VideoNotReady,
    VideoNotUploaded,
    VideoRefused,
)
from backend.videos.idempotency import OneRequest
from backend.videos.models import ACTIVE_STATUSES, Analysis, Video, VideoStatus
from backend.videos.queueing import store_queued
from contract.errors import FAILURES, ErrorCode
from contract.manifest import ModelEntry
from contract.messages import AnalysisRequest, fits_a_job
from contract.options import AnalysisOptions, OptionsInvalid
from contract.plans import Plan
from contract.statuses import AnalysisStatus

logger = logging.getLogger(__name__)

_VIDEO = Prepared(lambda owner, video_id: Video.objects.owned_by(owner).filter(pk=video_id), -1, uuid.UUID(int=1))
_HOLD_VIDEO = f"""
    SELECT id FROM "{Video._meta.db_table}" WHERE id = %s AND deleted_at IS NULL FOR NO KEY UPDATE
"""
RETRYABLE = frozenset({AnalysisStatus.FAILED, AnalysisStatus.CANCELLED})


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestedAnalysis:
    analysis: Analysis
    replayed: bool = False  # an earlier request had made it: one with the same idempotency key, or an operator's


def request_analysis(
    *,
    owner: User,
    video_id: uuid.UUID,
    model: str | None,
    options: Mapping[str, Any],
    quote: str | None = None,
    idempotency_key: str | None = None,
) -> RequestedAnalysis:
    """The analysis, the credits reserved for it and the message that is owed for it: all commit, or nothing does.

    Raises RequestInvalid, VideoNotFound, VideoNotUploaded, VideoNotReady, VideoRefused, MediaNotAllowed,
    VideoTooLong, QuoteInvalid, QuoteExpired, QuoteMismatch, TooManyAnalyses, CreditsInsufficient,
    IdempotencyKeyInvalid, IdempotencyKeyReused; nothing is queued then.
    """
    asked = {"video": str(video_id), "model": model, "options": options, **({"quote": quote} if quote else {})}
    once = OneRequest.of(owner=owner, key=idempotency_key, asked=asked)
    if once is not None and (earlier := once.answered()) is not None:
        return RequestedAnalysis(analysis=earlier, replayed=True)
    wanted = _asked(owner=owner, video_id=video_id, model=model, options=options)
    return _queued(wanted, quote=quote, once=once)


def quote_analysis(*, owner: User, video_id: uuid.UUID, model: str | None, options: Mapping[str, Any]) -> Quote:
    """What the analysis would cost.

    Raises RequestInvalid, VideoNotFound, VideoNotUploaded, VideoNotReady, VideoRefused, MediaNotAllowed and
    VideoTooLong.
    """
    return _asked(owner=owner, video_id=video_id, model=model, options=options).quote()


def retry_analysis(*, owner: User, analysis: Analysis, idempotency_key: str | None = None) -> RequestedAnalysis:
    """A new analysis that asks for the same: the one that ended stays as it is, with its history.

    Where an operator was faster to ask for it anew, it is that one, as long as it is under way.
    Raises AnalysisNotRetryable and what `request_analysis` raises: the model may have gone since.
    """
    once = OneRequest.of(owner=owner, key=idempotency_key, asked={"retry_of": str(analysis.pk)})
    if once is not None and (earlier := once.answered()) is not None:
        return RequestedAnalysis(analysis=earlier, replayed=True)
    if analysis.status not in RETRYABLE:
        raise AnalysisNotRetryable(analysis.status)
    wanted = _asked(owner=owner, video_id=analysis.video_id, model=analysis.model, options=analysis.options)
    return _queued(wanted, once=once, retry_of=analysis)


def _asked(*, owner: User, video_id: uuid.UUID, model: str | None, options: Mapping[str, Any]) -> Asked:
    entry, wanted = _checked(model, options)
    video = _video(owner, video_id)
    _require_ready(video)
    return Asked(owner=owner, video=video, model=entry, options=wanted)


def _queued(
    asked: Asked, *, once: OneRequest | None, quote: str | None = None, retry_of: Analysis | None = None
) -> RequestedAnalysis:
    owner, video, entry = asked.owner, asked.video, asked.model
    price = asked.price(quote)
    analysis = Analysis(
        owner=owner,
        video=video,
        model=entry.name,
        task=entry.task,
        class_names=list(entry.classes),
        options=asked.options.to_dict(),
        plan=owner.plan,
        retry_of=retry_of,
    )
    message = AnalysisRequest(
        analysis_id=analysis.id,
        video_key=video.key,
        model=entry.name,
        video_etag=video.etag,
        video_seconds=video.seconds,
        plan=Plan(owner.plan),
        timeout_seconds=price.timeout_seconds,
        options=asked.options,
    ).to_json()
    if not fits_a_job(message):
        raise RequestInvalid({"options.classes": ["These are too many class names; leave them out to keep all."]})
    with transaction.atomic():
        hold_account(owner)
        _require_still_there(video)
        wanted = _redriven(retry_of) or analysis
        if once is not None:
            wanted = once.take(wanted)
        if wanted is not analysis:
            return RequestedAnalysis(analysis=wanted, replayed=True)
        require_free_place(owner)
        reserve(owner, analysis.pk, price.credits)
        store_queued(analysis, message=message)
    logger.info("analysis queued", extra={"analysis_id": analysis.pk, "video_id": video.pk, "user_id": owner.pk})
    return RequestedAnalysis(analysis=analysis)


def _redriven(failed: Analysis | None) -> Analysis | None:
    """What an operator has asked for in its place and is under way; looked for while the account is held."""
    if failed is None:
        return None
    return Analysis.objects.filter(
        retry_of=failed, retry_of__dead_requests__redriven_at__isnull=False, status__in=ACTIVE_STATUSES
    ).first()


def _video(owner: User, video_id: uuid.UUID) -> Video:
    video = _VIDEO.first(owner.pk, video_id)
    if video is None:
        raise VideoNotFound
    return video


def _require_still_there(video: Video) -> None:
    """Neither its owner nor retention deletes it until the transaction ends. Raises VideoNotFound."""
    if run_prepared(_HOLD_VIDEO, [video.pk]) is None:
        raise VideoNotFound


def _require_ready(video: Video) -> None:
    """Raises VideoNotUploaded, VideoNotReady and VideoRefused."""
    if video.status == VideoStatus.PROBING:
        raise VideoNotReady
    if video.status == VideoStatus.REFUSED:
        raise VideoRefused(FAILURES[ErrorCode(video.refusal_code)].sentence)
    if video.status != VideoStatus.READY:
        raise VideoNotUploaded


def _checked(model: str | None, options: Mapping[str, Any]) -> tuple[ModelEntry, AnalysisOptions]:
    faults: dict[str, list[str]] = {}
    models = catalogue().models()
    entry = models[0] if model is None else next((known for known in models if known.name == model), None)
    if entry is None:
        faults["model"] = [f"There is no model {model!r}; there are {_listed(known.name for known in models)}."]
    known_options = {field.name for field in fields(AnalysisOptions)}
    for name in options:
        if name not in known_options:
            faults[f"options.{name}"] = [f"There is no such option; there are {_listed(sorted(known_options))}."]
    wanted = AnalysisOptions()
    try:
        wanted = AnalysisOptions.from_dict({**options, **_without_repetition(options)})
    except OptionsInvalid as exc:
        faults.update({f"options.{name}": [f"It {fault}."] for name, fault in exc.faults.items()})
    if entry is not None and wanted.classes is not None:
        lacking = [name for name in wanted.classes if name not in entry.classes]
        if lacking:
            faults["options.classes"] = [f"The model {entry.name} does not know {_listed(lacking)}."]
    if faults or entry is None:
        raise RequestInvalid(faults)
    return entry, wanted


def _without_repetition(options: Mapping[str, Any]) -> dict[str, Any]:
    classes = options.get("classes")
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        return {}
    return {"classes": list(dict.fromkeys(classes))}


def _listed(names: Any, most: int = 20) -> str:
    known = list(names)
    return ", ".join(known[:most]) + (f" and {len(known) - most} more" if len(known) > most else "")
