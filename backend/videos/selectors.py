"""What is read. Everything is scoped to its owner, so that a foreign id looks like one that never existed."""

import uuid

from django.db.models import F, Prefetch, QuerySet

from backend.accounts.models import User
from backend.accounts.services import KEY_OF_PREFIX
from backend.config.prepared import Both, Prepared
from backend.videos.estimates import with_usual_times
from backend.videos.models import Analysis, AnalysisEvent, Track, Video, VideoStatus
from backend.videos.polling import with_version

NEWEST = ("-created_at", "-id")

_POLLED = Prepared(
    lambda owner, analysis_id: with_version(
        with_usual_times(Analysis.objects.owned_by(owner).filter(pk=analysis_id))
    ),
    -1,
    uuid.UUID(int=1),
)


# By the key that asks and the analysis, which `_POLLED` is asked for with the key's own user as its owner.
POLLED_BY_KEY = Both(KEY_OF_PREFIX, "user_id", _POLLED)


def videos_of(owner: User) -> QuerySet[Video]:
    return Video.objects.owned_by(owner)


def video_of(owner: User, video_id: uuid.UUID) -> Video | None:
    return videos_of(owner).filter(pk=video_id).first()


def videos_with_latest_analyses(owner: User, *, videos: int, analyses: int) -> list[Video]:
    """The newest videos that were not aborted, each with `latest_analyses`."""
    latest = Prefetch("analyses", analyses_of(owner).order_by(*NEWEST)[:analyses], to_attr="latest_analyses")
    kept = videos_of(owner).exclude(status=VideoStatus.ABORTED.value)
    return list(kept.order_by(*NEWEST).prefetch_related(latest)[:videos])


def analyses_of(owner: User) -> QuerySet[Analysis]:
    return Analysis.objects.owned_by(owner)


def polled_analysis_of(owner: User, analysis_id: uuid.UUID) -> Analysis | None:
    """With its version and what its estimates need, in one query."""
    return _POLLED.first(owner.pk, analysis_id)


def analysis_of(owner: User, analysis_id: uuid.UUID) -> Analysis | None:
    return analyses_of(owner).filter(pk=analysis_id).first()


def longest_tracks_of(analysis: Analysis, *, most: int) -> QuerySet[Track]:
    tracks = Track.objects.of(analysis).defer("path")
    return tracks.order_by(F("first_pts_us") - F("last_pts_us"), "track_id")[:most]


def events_of(analysis: Analysis) -> QuerySet[AnalysisEvent]:
    return AnalysisEvent.objects.of(analysis)
