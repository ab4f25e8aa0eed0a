"""What a finished analysis says besides its detections. Times are microseconds of stream time, boxes pixels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

PATH_POINTS = 64  # of a track's path at most: enough to draw it, and little beside its detections


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedFrames:
    """A place where the decoder could not go on; `after_pts_us` is the last good frame before it, if any."""

    after_pts_us: int | None
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodeReport:
    """What the file claimed and what came out of it."""

    container: str  # "mov,mp4,m4a,3gp,3g2,mj2"
    codec: str  # "h264"
    width: int  # of the upright frame, pixels
    height: int
    rotation_degrees: int  # clockwise turn that was applied: 0, 90, 180 or 270
    mirrored: bool  # a horizontal flip was applied after the turn
    time_base: str  # "1/15360", seconds per tick
    declared_frames: int | None  # what the header says, where it says anything
    decoded_frames: int  # what came out of the decoder
    analysed_frames: int  # what the sampling option kept of them
    skipped: tuple[SkippedFrames, ...]  # damaged places, in stream order
    first_pts_us: int
    last_pts_us: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassCount:
    detections: int
    tracks: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Thumbnail:
    key: str  # in the media bucket
    frame_index: int
    pts_us: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    frames: int  # analysed frames
    detections: int
    tracks: int
    per_class: Mapping[str, ClassCount]  # class name -> counts; classes without detections are left out
    thumbnails: tuple[Thumbnail, ...]
    poster: str | None = None  # key in the media bucket; None where the frame cannot be found again
    annotated_video: str | None = None  # key in the media bucket; None where it was not asked for

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
