"""Rows as the JSON that API clients see. Links are relative to the host that was asked."""

from functools import cache
from typing import Any
from uuid import UUID

from backend.config.links import link
from backend.videos.estimates import estimates
from backend.videos.models import Analysis, AnalysisEvent, Video
from backend.videos.services import RETRYABLE
from backend.videos.wording import status_sentence, waiting_reason
from contract.errors import FAILURES, ErrorCode
from contract.statuses import TERMINAL, AnalysisStatus
from contract.uploads import part_count
from exports.formats import FORMATS, ExportFormat


def video_document(video: Video) -> dict[str, Any]:
    steps = ("sign", "parts", "finish", "abort")
    return {
        "id": str(video.pk),
        "filename": video.filename,
        "content_type": video.content_type,
        "size_bytes": video.size_bytes,
        "status": video.status,
        "facts": video.facts,
        "error": _refusal(video),
        "checksum": {"algorithm": video.checksum_algorithm, "value": video.checksum} if video.checksum else None,
        "parts": _parts(video),
        "created_at": video.created_at,
        "uploaded_at": video.uploaded_at,
        "links": {
            "self": link("api-video", video.pk),
            **{name: link(f"api-video-{name}", video.pk) for name in steps},
            "page": link("video", video.pk),
        },
    }


def status_document(analysis: Analysis) -> dict[str, Any]:
    """What changes while one looks."""
    return {
        "id": str(analysis.pk),
        "status": analysis.status,
        "status_sentence": status_sentence(analysis),
        "stage": analysis.stage,
        "frames_done": analysis.frames_done,
        "frames_total": analysis.frames_total,
        "progress": progress(analysis),
        "batch_state": analysis.batch_state,
        "waiting_reason": waiting_reason(analysis),
        **estimates(analysis),
        "error": _error(analysis),
        "submitted_at": analysis.submitted_at,
        "started_at": analysis.started_at,
        "finished_at": analysis.finished_at,
    }


def analysis_document(analysis: Analysis) -> dict[str, Any]:
    links = ("detections", "tracks", "seconds", "events", "live", "thumbnails", "media", "receipt")
    pk = str(analysis.pk)  # once, for each link would make it anew
    return {
        "id": pk,
        "video": str(analysis.video_id),
        "retry_of": str(analysis.retry_of_id) if analysis.retry_of_id else None,
        "model": analysis.model,
        "task": analysis.task,
        "options": analysis.options,
        "plan": analysis.plan,
        **status_document(analysis),
        "created_at": analysis.created_at,
        "stage_seconds": analysis.stage_seconds,
        "decode_report": analysis.decode_report,
        "summary": analysis.summary,
        "links": {
            "self": link("api-analysis", pk),
            "video": link("api-video", analysis.video_id),
            **{name: link(f"api-analysis-{name}", pk) for name in links},
            **{name: link(f"api-analysis-{name}", pk) for name in possible(analysis)},
            "exports": {form.name: export_link(pk, form) for form in offered_formats()},
            "page": link("analysis", pk),
        },
    }


def possible(analysis: Analysis) -> list[str]:
    """What its owner can ask for now."""
    return ["retry"] if analysis.status in RETRYABLE else [] if is_over(analysis) else ["cancel"]


@cache  # the answer for each format is looked for in the file system
def offered_formats() -> tuple[ExportFormat, ...]:
    return tuple(form for form in FORMATS.values() if form.available)


def export_link(analysis_id: UUID | str, form: ExportFormat) -> str:
    return link("api-analysis-export", analysis_id, form.name)


def event_document(event: AnalysisEvent) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at,
        "status": event.status,
        "source": event.source,
        "detail": event.detail,
    }


def progress(analysis: Analysis) -> float:
    """0 to 1. The total is an estimate while frames are decoded, so only success is 1."""
    if analysis.status == AnalysisStatus.SUCCEEDED:
        return 1.0
    if not analysis.frames_total:
        return 0.0
    return round(min(analysis.frames_done / analysis.frames_total, 0.99), 4)


def is_over(analysis: Analysis) -> bool:
    return analysis.status in TERMINAL


def _parts(video: Video) -> dict[str, Any] | None:
    """Into what the file is cut; None where it is sent in one piece."""
    if not video.part_bytes:
        return None
    return {
        "size_bytes": video.part_bytes,
        "count": part_count(video.size_bytes, video.part_bytes),
        "checksum_algorithm": video.checksum_algorithm or None,
    }


def _refusal(video: Video) -> dict[str, Any] | None:
    if not video.refusal_code:
        return None
    failure = FAILURES[ErrorCode(video.refusal_code)]
    return {"code": video.refusal_code, "message": failure.sentence, "retryable": failure.retryable}


def _error(analysis: Analysis) -> dict[str, Any] | None:
    if not analysis.error_code:
        return None
    return {
        "code": analysis.error_code,
        "message": analysis.error_message,
        "retryable": bool(analysis.error_retryable),
    }
