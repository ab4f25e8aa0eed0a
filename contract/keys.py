"""Where objects lie in the media bucket."""

from uuid import UUID

UPLOADS_PREFIX = "uploads/"
ANALYSES_PREFIX = "analyses/"


def upload_key(owner_id: int, video_id: UUID) -> str:
    """A user's file name never enters the key: it may hold anything."""
    return f"{UPLOADS_PREFIX}{owner_id}/{video_id}"


def analysis_prefix(analysis_id: UUID) -> str:
    """Everything the job makes of one analysis."""
    return f"{ANALYSES_PREFIX}{analysis_id}/"


def thumbnail_key(analysis_id: UUID, number: int) -> str:
    return f"{analysis_prefix(analysis_id)}thumbnails/{number:03d}.jpg"


def poster_key(analysis_id: UUID) -> str:
    return f"{analysis_prefix(analysis_id)}poster.jpg"


def annotated_video_key(analysis_id: UUID) -> str:
    return f"{analysis_prefix(analysis_id)}annotated.mp4"
