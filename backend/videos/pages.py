"""The pages: videos, one video, one analysis. What changes on them while one looks comes through the API."""

import logging
import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from backend.gateways.errors import StorageUnavailable
from backend.plans.receipts import Receipt
from backend.videos import selectors
from backend.videos.catalogue import catalogue
from backend.videos.models import Analysis, VideoStatus
from backend.videos.representations import export_link, is_over, offered_formats, possible, progress
from backend.videos.result_apis import class_name, media_of, thumbnails_of
from backend.videos.wording import decode_sentences, described, status_sentence, video_sentence, waiting_reason
from contract.options import AnalysisOptions
from contract.plans import LIMITS, Plan
from contract.statuses import AnalysisStatus

logger = logging.getLogger(__name__)

VIDEOS_SHOWN = 50
ANALYSES_SHOWN = 3
HISTORY_SHOWN = 100
TRACKS_SHOWN = 10
STAGES = (
    "fetch",
    "model",
    "decode",
    "preprocess",
    "detect",
    "postprocess",
    "track",
    "store",
    "thumbnails",
    "annotated video",
    "total",
)


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    found = selectors.videos_with_latest_analyses(request.user, videos=VIDEOS_SHOWN + 1, analyses=ANALYSES_SHOWN)
    videos = [
        {
            "video": video,
            "ready": video.status == VideoStatus.READY,
            "state": video_sentence(video),
            "analyses": [_line(analysis) for analysis in video.latest_analyses],
        }
        for video in found[:VIDEOS_SHOWN]
    ]
    context = {
        "videos": videos,
        "more": len(found) > VIDEOS_SHOWN,
        "most_bytes": LIMITS[Plan(request.user.plan)].file_bytes,
    }
    return render(request, "home.html", context)


@require_safe
@login_required
def video(request: HttpRequest, video_id: uuid.UUID) -> HttpResponse:
    found = selectors.video_of(request.user, video_id)
    if found is None:
        raise Http404
    analyses = selectors.analyses_of(request.user).filter(video=found).order_by(*selectors.NEWEST)
    context = {
        "video": found,
        "ready": found.status == VideoStatus.READY,
        "waiting": found.status == VideoStatus.PROBING,
        "state": video_sentence(found),
        "described": described(found.facts) if found.facts else "",
        "models": catalogue().models(),
        "defaults": AnalysisOptions(),
        "analyses": [_line(analysis) for analysis in analyses[:VIDEOS_SHOWN]],
    }
    return render(request, "video.html", context)


@require_safe
@login_required
def analysis(request: HttpRequest, analysis_id: uuid.UUID) -> HttpResponse:
    found = selectors.analysis_of(request.user, analysis_id)
    if found is None:
        raise Http404
    context = {
        **_line(found),
        "result": _result(found) if found.status == AnalysisStatus.SUCCEEDED else None,
        "history": selectors.events_of(found).order_by("id")[:HISTORY_SHOWN],
        "options": _options(found),
        "receipt": Receipt.of(found),
    }
    return render(request, "analysis.html", context)


def _line(analysis: Analysis) -> dict[str, Any]:
    return {
        "analysis": analysis,
        "sentence": status_sentence(analysis),
        "waiting": waiting_reason(analysis),
        "percent": round(progress(analysis) * 100),
        "over": is_over(analysis),
        "possible": possible(analysis),
    }


def _result(analysis: Analysis) -> dict[str, Any]:
    summary = analysis.summary or {}
    per_class = sorted(summary.get("per_class", {}).items(), key=lambda item: (-item[1]["detections"], item[0]))
    # jsonb does not keep the order of its keys.
    stages = sorted(analysis.stage_seconds.items(), key=lambda item: (_place(item[0]), item[0]))
    return {
        "summary": summary,
        "per_class": [{"name": name, **counts} for name, counts in per_class],
        "stage_seconds": stages,
        "decoding": decode_sentences(analysis.decode_report) if analysis.decode_report else [],
        "exports": [(form.title, export_link(analysis.pk, form)) for form in offered_formats()],
        "tracks": [
            {"class": class_name(analysis, track.class_id), "row": track, "seconds": track.duration_us / 1_000_000}
            for track in selectors.longest_tracks_of(analysis, most=TRACKS_SHOWN)
        ],
        **_pictures(analysis),
    }


def _place(stage: str) -> int:
    return STAGES.index(stage) if stage in STAGES else len(STAGES)


def _pictures(analysis: Analysis) -> dict[str, Any]:
    try:
        thumbnails, media = thumbnails_of(analysis), media_of(analysis)
    except StorageUnavailable:
        logger.warning("page without pictures", extra={"analysis_id": analysis.pk})
        return {}
    return {
        "thumbnails": [{**thumbnail, "seconds": thumbnail["pts_us"] / 1_000_000} for thumbnail in thumbnails],
        **media,
    }


def _said(value: Any) -> Any:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else value


def _options(analysis: Analysis) -> list[tuple[str, Any]]:
    """Only what differs from the defaults says something."""
    defaults = AnalysisOptions().to_dict()
    return [
        (name.replace("_", " "), _said(value))
        for name, value in analysis.options.items()
        if name == "confidence" or value != defaults.get(name)
    ]
