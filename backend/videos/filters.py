"""Narrows rows to what a valid query asks for.

Detections have one index, that of their frames, because each further one slows down their COPY. So what else they
are asked for is turned into frames first where a small table knows these: a time by the chunks, whose times rise
with their frames, a track by its first and its last frame. The rest is looked for in the frames that are left.
"""

from collections.abc import Mapping
from typing import Any

from django.db.models import F, Max, Min, Q, QuerySet
from django.db.models.functions import Cast

from backend.videos.errors import RequestInvalid
from backend.videos.fields import RealField
from backend.videos.models import Analysis, Chunk, Detection, Second, Track, Video

_ROWS = {
    "status": "status__in",
    "filename": "filename__icontains",
    "video": "video_id",
    "model": "model",
    "created_after": "created_at__gt",
    "created_before": "created_at__lt",
}
_DETECTIONS = {
    "frame": "frame_index",
    "from_frame": "frame_index__gte",
    "until_frame": "frame_index__lt",
    "from_us": "pts_us__gte",
    "until_us": "pts_us__lt",
    "track": "track_id",
    "min_confidence": "confidence__gte",
    "max_confidence": "confidence__lte",
    "min_area": "area__gte",
    "max_area": "area__lte",
}
_TRACKS = {
    "from_us": "last_pts_us__gte",
    "until_us": "first_pts_us__lt",
    "track": "track_id",
    "min_confidence": "confidence__gte",
    "max_confidence": "confidence__lte",
    "min_detections": "detections__gte",
    "min_duration_us": "duration__gte",
}
_SECONDS = {"from_second": "second__gte", "until_second": "second__lt"}


def videos_where(videos: QuerySet[Video], query: Mapping[str, Any]) -> QuerySet[Video]:
    return videos.filter(**_lookups(query, _ROWS))


def analyses_where(analyses: QuerySet[Analysis], query: Mapping[str, Any]) -> QuerySet[Analysis]:
    return analyses.filter(**_lookups(query, _ROWS))


def detections_where(analysis: Analysis, query: Mapping[str, Any]) -> QuerySet[Detection]:
    """Raises RequestInvalid where the model does not know a class."""
    rows = Detection.objects.of(analysis).filter(**_among_classes(analysis, query))
    if "min_area" in query or "max_area" in query:
        rows = rows.alias(area=(F("x2") - F("x1")) * (F("y2") - F("y1")))
    return rows.filter(_frames(analysis, query), **_lookups(query, _DETECTIONS))


def tracks_where(analysis: Analysis, query: Mapping[str, Any]) -> QuerySet[Track]:
    """Raises RequestInvalid where the model does not know a class."""
    rows = Track.objects.of(analysis).filter(**_among_classes(analysis, query))
    if "min_duration_us" in query:
        rows = rows.alias(duration=F("last_pts_us") - F("first_pts_us"))
    if "frame" in query:
        rows = rows.filter(first_frame__lte=query["frame"], last_frame__gte=query["frame"])
    return rows.filter(**_lookups(query, _TRACKS))


def seconds_where(analysis: Analysis, query: Mapping[str, Any]) -> QuerySet[Second]:
    """Raises RequestInvalid where the model does not know a class."""
    rows = Second.objects.of(analysis).filter(**_among_classes(analysis, query))
    return rows.filter(**_lookups(query, _SECONDS))


def _lookups(query: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, Any]:
    # A list that was left out is an empty one. A number is rounded as the stored ones are: 0.7 is at least 0.7.
    return {
        known[name]: Cast(value, RealField()) if isinstance(value, float) else value
        for name, value in query.items()
        if name in known and value not in (set(), [])
    }


def _among_classes(analysis: Analysis, query: Mapping[str, Any]) -> dict[str, Any]:
    names = query.get("class")
    if names is None:
        return {}
    unknown = [name for name in names if name not in analysis.class_names]
    if unknown:
        raise RequestInvalid({"class": [f"The model {analysis.model} does not know {', '.join(unknown)}."]})
    return {"class_id__in": sorted({analysis.class_names.index(name) for name in names})}


def _frames(analysis: Analysis, query: Mapping[str, Any]) -> Q:
    """Frames outside of which no row can match."""
    frames = _between(analysis, query.get("from_us"), query.get("until_us"))
    if "track" in query:
        # While the analysis runs there are no tracks yet, and all of its frames are looked through.
        track = Track.objects.of(analysis).filter(track_id=query["track"]).defer("path").first()
        if track is not None:
            frames &= Q(frame_index__gte=track.first_frame, frame_index__lte=track.last_frame)
    return frames


def _between(analysis: Analysis, from_us: int | None, until_us: int | None) -> Q:
    """From the first frame of the chunk in which `from_us` lies to the last of the one before `until_us`."""
    bounds = {}
    if from_us is not None:
        bounds["first"] = Max("first_frame", filter=Q(pts_us__0__lte=from_us))
    if until_us is not None:
        bounds["stop"] = Min("first_frame", filter=Q(pts_us__0__gte=until_us))
    if not bounds:
        return Q()
    found = Chunk.objects.of(analysis).aggregate(**bounds)
    frames = Q()
    if found.get("first") is not None:
        frames &= Q(frame_index__gte=found["first"])
    if found.get("stop") is not None:
        frames &= Q(frame_index__lt=found["stop"])
    return frames
