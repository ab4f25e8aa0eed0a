"""What is read. Everything is scoped to its owner, so that a foreign id looks like one that never existed."""

import uuid

from django.db.models import F, Prefetch, QuerySet

from backend.accounts.models import User
from backend.videos.models import Analysis, AnalysisEvent, Detection, Second, Track, Video

NEWEST = ("-created_at", "-id")


def videos_of(owner: User) -> QuerySet[Video]:
    return Video.objects.filter(owner=owner)


def video_of(owner: User, video_id: uuid.UUID) -> Video | None:
    return videos_of(owner).filter(pk=video_id).first()


def videos_with_latest_analyses(owner: User, *, videos: int, analyses: int) -> list[Video]:
    """The newest videos, each with `latest_analyses`."""
    latest = Prefetch("analyses", analyses_of(owner).order_by(*NEWEST)[:analyses], to_attr="latest_analyses")
    return list(videos_of(owner).order_by(*NEWEST).prefetch_related(latest)[:videos])


def analyses_of(owner: User) -> QuerySet[Analysis]:
    return Analysis.objects.filter(owner=owner, deleted_at=None)


def analysis_of(owner: User, analysis_id: uuid.UUID) -> Analysis | None:
    return analyses_of(owner).filter(pk=analysis_id).first()


def detections_of(
    analysis: Analysis,
    *,
    frame_index: int | None = None,
    class_id: int | None = None,
    track_id: int | None = None,
) -> QuerySet[Detection]:
    wanted = {"frame_index": frame_index, "class_id": class_id, "track_id": track_id}
    return Detection.objects.filter(
        analysis_id=analysis.pk, **{name: value for name, value in wanted.items() if value is not None}
    )


def tracks_of(analysis: Analysis, *, class_id: int | None = None) -> QuerySet[Track]:
    tracks = Track.objects.filter(analysis_id=analysis.pk)
    return tracks if class_id is None else tracks.filter(class_id=class_id)


def seconds_of(analysis: Analysis, *, class_id: int | None = None) -> QuerySet[Second]:
    seconds = Second.objects.filter(analysis_id=analysis.pk)
    return seconds if class_id is None else seconds.filter(class_id=class_id)


def longest_tracks_of(analysis: Analysis, *, most: int) -> QuerySet[Track]:
    return tracks_of(analysis).defer("path").order_by(F("first_pts_us") - F("last_pts_us"), "track_id")[:most]


def events_of(analysis: Analysis) -> QuerySet[AnalysisEvent]:
    return AnalysisEvent.objects.filter(analysis_id=analysis.pk)
