"""What an analysis found, page by page; partial while it is running."""

import uuid
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.scopes import Scope
from backend.config.openapi import Answer, documented
from backend.config.serializers import StrictQuery
from backend.videos import examples, schemas, selectors
from backend.videos.filters import detections_where, seconds_where, tracks_where
from backend.videos.models import Analysis, Detection, Second, Track
from backend.videos.pagination import Keyset
from backend.videos.queries import DetectionQuery, EventQuery, SecondQuery, TrackQuery
from backend.videos.representations import event_document
from backend.videos.wiring import media_bucket
from exports.json_lines import geometry

DETECTIONS = Keyset(columns=("frame_index", "ordinal"))
TRACKS = Keyset(columns=("track_id",))
SECONDS = Keyset(columns=("second", "class_id"))
EVENTS = Keyset(columns=("id",))


class Results(APIView, ABC):
    """`of` answers for an analysis of the user who asks and a valid `Query`; a foreign one is 404."""

    Query: type[StrictQuery] = StrictQuery

    def get(self, request: Request, analysis_id: uuid.UUID) -> Response:
        analysis = selectors.analysis_of(request.user, analysis_id)
        if analysis is None:
            raise Http404
        return Response(self.of(analysis, request, self.Query.read(request)))

    @abstractmethod
    def of(self, analysis: Analysis, request: Request, query: dict[str, Any]) -> dict[str, Any]: ...


@documented(
    "list_detections",
    scope=Scope.RESULTS_READ,
    summary="List detections",
    tag="Results",
    query=DetectionQuery,
    answers={
        200: Answer(
            description="A page of detections.",
            schema=schemas.DetectionPage,
            example=examples.page(examples.DETECTION),
        )
    },
)
class DetectionList(Results):
    """The boxes that were found, frame by frame; those that are there already while it runs.

    By the analysis' task a box has a `polygon` ([x, y] of each corner) or `keypoints` ([x, y, confidence] of
    each), or is the hull of an `obb` (centre x, centre y, width, height, angle).
    """

    Query = DetectionQuery

    def of(self, analysis: Analysis, request: Request, query: dict[str, Any]) -> dict[str, Any]:
        wanted = detections_where(analysis, query)

        def represent(box: Detection) -> dict[str, Any]:
            return {
                "frame_index": box.frame_index,
                "ordinal": box.ordinal,
                "pts_us": box.pts_us,
                "class_id": box.class_id,
                "class": class_name(analysis, box.class_id),
                "track_id": box.track_id,
                "confidence": box.confidence,
                "x1": box.x1,
                "y1": box.y1,
                "x2": box.x2,
                "y2": box.y2,
                **geometry(analysis.task, box.shape),
            }

        return DETECTIONS.page(request, wanted, query).document(represent)


@documented(
    "list_tracks",
    scope=Scope.RESULTS_READ,
    summary="List tracks",
    tag="Results",
    query=TrackQuery,
    answers={
        200: Answer(
            description="A page of tracks.", schema=schemas.TrackPage, example=examples.page(examples.TRACK)
        )
    },
)
class TrackList(Results):
    """The objects that were followed from frame to frame, each with its path."""

    Query = TrackQuery

    def of(self, analysis: Analysis, request: Request, query: dict[str, Any]) -> dict[str, Any]:
        tracks = tracks_where(analysis, query)

        def represent(track: Track) -> dict[str, Any]:
            return {
                "track_id": track.track_id,
                "class_id": track.class_id,
                "class": class_name(analysis, track.class_id),
                "first_frame": track.first_frame,
                "last_frame": track.last_frame,
                "first_pts_us": track.first_pts_us,
                "last_pts_us": track.last_pts_us,
                "duration_us": track.duration_us,
                "detections": track.detections,
                "confidence": track.confidence,
                "path": track.path,
            }

        return TRACKS.page(request, tracks, query).document(represent)


@documented(
    "list_seconds",
    scope=Scope.RESULTS_READ,
    summary="Count per second",
    tag="Results",
    query=SecondQuery,
    answers={
        200: Answer(
            description="A page of seconds.", schema=schemas.SecondPage, example=examples.page(examples.SECOND)
        )
    },
)
class SecondList(Results):
    """How many of each class were seen in each second of the video. Written when the analysis finishes."""

    Query = SecondQuery

    def of(self, analysis: Analysis, request: Request, query: dict[str, Any]) -> dict[str, Any]:
        seconds = seconds_where(analysis, query)

        def represent(second: Second) -> dict[str, Any]:
            return {
                "second": second.second,
                "class_id": second.class_id,
                "class": class_name(analysis, second.class_id),
                "detections": second.detections,
                "most": second.most,
                "tracks": second.tracks,
            }

        return SECONDS.page(request, seconds, query).document(represent)


@documented(
    "list_events",
    scope=Scope.ANALYSES_READ,
    summary="Read the history",
    tag="Analyses",
    query=EventQuery,
    answers={
        200: Answer(
            description="A page of events.", schema=schemas.EventPage, example=examples.page(examples.EVENT)
        )
    },
)
class EventList(Results):
    """Every change of the analysis' status, oldest first."""

    Query = EventQuery

    def of(self, analysis: Analysis, request: Request, query: dict[str, Any]) -> dict[str, Any]:
        return EVENTS.page(request, selectors.events_of(analysis), query).document(event_document)


@documented(
    "list_thumbnails",
    scope=Scope.RESULTS_READ,
    summary="List thumbnails",
    tag="Results",
    query=StrictQuery,
    answers={
        200: Answer(
            description="All thumbnails.", schema=schemas.ThumbnailPage, example=examples.page(examples.THUMBNAIL)
        )
    },
)
class ThumbnailList(Results):
    """Links to the annotated pictures, evenly spaced over the video."""

    def of(self, analysis: Analysis, request: Request, query: dict[str, Any]) -> dict[str, Any]:
        return {"results": thumbnails_of(analysis), "next": None}


@documented(
    "get_media",
    scope=Scope.RESULTS_READ,
    summary="Get the poster and the annotated video",
    tag="Results",
    query=StrictQuery,
    answers={200: Answer(description="The links.", schema=schemas.Media, example=examples.MEDIA)},
)
class MediaDetail(Results):
    """Links to the poster and the annotated video; null where there is none."""

    def of(self, analysis: Analysis, request: Request, query: dict[str, Any]) -> dict[str, Any]:
        return media_of(analysis)


def thumbnails_of(analysis: Analysis) -> list[dict[str, Any]]:
    """Presigned URLs of the annotated pictures. Raises StorageUnavailable."""
    return [
        {
            "frame_index": thumbnail["frame_index"],
            "pts_us": thumbnail["pts_us"],
            **_download(thumbnail["key"], "image/jpeg"),
        }
        for thumbnail in (analysis.summary or {}).get("thumbnails", ())
    ]


def media_of(analysis: Analysis) -> dict[str, Any]:
    """Presigned URLs. Raises StorageUnavailable."""
    summary = analysis.summary or {}
    return {
        name: _download(summary[name], content_type) if summary.get(name) else None
        for name, content_type in (("poster", "image/jpeg"), ("annotated_video", "video/mp4"))
    }


def class_name(analysis: Analysis, class_id: int) -> str:
    names = analysis.class_names
    return names[class_id] if 0 <= class_id < len(names) else f"class {class_id}"


def _download(key: str, content_type: str) -> dict[str, Any]:
    seconds = settings.DOWNLOAD_URL_SECONDS
    return {
        "url": media_bucket().presigned_download(key=key, seconds=seconds, content_type=content_type),
        "expires_at": datetime.now(tz=UTC) + timedelta(seconds=seconds),
    }
