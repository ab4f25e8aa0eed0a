"""Plans: what each one means to the fair-share queue, and what it allows."""

from dataclasses import dataclass
from enum import StrEnum


class Plan(StrEnum):
    """The dearest first."""

    ENTERPRISE = "enterprise"
    STUDIO = "studio"
    PRO = "pro"
    STARTER = "starter"
    FREE = "free"


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """How a plan's jobs are scheduled.

    `weight_factor` is AWS Batch's: the share a plan gets of the compute is proportional to 1 / weight_factor.
    `scheduling_priority` (0-9999) orders jobs inside one share identifier, higher first.
    """

    identifier: str
    weight_factor: float
    scheduling_priority: int


SHARES: dict[Plan, Share] = {
    Plan.ENTERPRISE: Share(identifier="enterprise", weight_factor=0.0625, scheduling_priority=5000),
    Plan.STUDIO: Share(identifier="studio", weight_factor=0.125, scheduling_priority=4000),
    Plan.PRO: Share(identifier="pro", weight_factor=0.25, scheduling_priority=3000),
    Plan.STARTER: Share(identifier="starter", weight_factor=0.5, scheduling_priority=2000),
    Plan.FREE: Share(identifier="free", weight_factor=1.0, scheduling_priority=1000),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Media:
    """Kinds of video by FFmpeg's names, as the probe finds them in the content of a file."""

    containers: tuple[str, ...]
    codecs: tuple[str, ...]


# What phones, cameras, screen recorders and browsers make.
COMMON_MEDIA = Media(
    containers=("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"),
    codecs=("h264", "hevc", "vp8", "vp9", "av1", "mpeg4"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The most that a user of a plan may ask for."""

    video_seconds: int  # length of one video
    file_bytes: int  # size of one upload
    stored_bytes: int  # of all uploads together, until they are removed
    concurrent_analyses: int  # not over: queued, waiting for a machine, or running
    monthly_credits: int  # a credit is a second of the reference machine: docs/plans.md
    media: Media | None = None  # None: everything that can be decoded


_MINUTE, _HOUR, _GIB, _TIB = 60, 3600, 1024**3, 1024**4

LIMITS: dict[Plan, Limits] = {
    Plan.ENTERPRISE: Limits(
        video_seconds=24 * _HOUR,
        file_bytes=500 * _GIB,
        stored_bytes=20 * _TIB,
        concurrent_analyses=1000,
        monthly_credits=500 * _HOUR,
    ),
    Plan.STUDIO: Limits(
        video_seconds=12 * _HOUR,
        file_bytes=100 * _GIB,
        stored_bytes=2 * _TIB,
        concurrent_analyses=64,
        monthly_credits=50 * _HOUR,
    ),
    Plan.PRO: Limits(
        video_seconds=4 * _HOUR,
        file_bytes=20 * _GIB,
        stored_bytes=400 * _GIB,
        concurrent_analyses=16,
        monthly_credits=10 * _HOUR,
    ),
    Plan.STARTER: Limits(
        video_seconds=_HOUR,
        file_bytes=5 * _GIB,
        stored_bytes=50 * _GIB,
        concurrent_analyses=4,
        monthly_credits=2 * _HOUR,
        media=COMMON_MEDIA,
    ),
    Plan.FREE: Limits(
        video_seconds=10 * _MINUTE,
        file_bytes=_GIB,
        stored_bytes=5 * _GIB,
        concurrent_analyses=2,
        monthly_credits=10 * _MINUTE,
        media=COMMON_MEDIA,
    ),
}
