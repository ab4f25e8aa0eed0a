"""What has come out of a decoder so far, and the report made of it."""

from dataclasses import dataclass, field

from batch_job.orientation import Orientation
from contract.results import DecodeReport, SkippedFrames

_SKIPPED_LISTED = 100  # the report stays small however damaged the file is


@dataclass(kw_only=True, slots=True)
class DecodeTally:
    packets: int = 0
    decoded: int = 0
    analysed: int = 0
    first_pts_us: int = 0
    last_pts_us: int = 0
    width: int = 0  # of the upright frame, pixels
    height: int = 0
    orientation: Orientation = field(default_factory=Orientation)
    skipped: list[SkippedFrames] = field(default_factory=list)
    more_skipped: int = 0

    def add_frame(self, *, pts_us: int, width: int, height: int, orientation: Orientation) -> None:
        """A frame was decoded; its size is that before it is turned upright. The first one describes the video."""
        if self.decoded == 0:
            self.first_pts_us = pts_us
            self.orientation = orientation
            turned = orientation.rotation_degrees in (90, 270)
            self.width, self.height = (height, width) if turned else (width, height)
        self.decoded += 1
        self.last_pts_us = pts_us

    def skip(self, reason: str) -> None:
        """The decoder could not go on at this place."""
        if len(self.skipped) < _SKIPPED_LISTED:
            self.skipped.append(SkippedFrames(after_pts_us=self._reached(), reason=reason))
        else:
            self.more_skipped += 1

    def report(self, *, container: str, codec: str, time_base: str, declared: int | None) -> DecodeReport:
        skipped = list(self.skipped)
        if self.more_skipped:
            reason = f"{self.more_skipped} more damaged places are not listed"
            skipped.append(SkippedFrames(after_pts_us=None, reason=reason))
        if declared is not None and self.packets < declared:
            reason = f"the file ends after {self.packets} of {declared} declared frames"
            skipped.append(SkippedFrames(after_pts_us=self._reached(), reason=reason))
        return DecodeReport(
            container=container,
            codec=codec,
            width=self.width,
            height=self.height,
            rotation_degrees=self.orientation.rotation_degrees,
            mirrored=self.orientation.mirrored,
            time_base=time_base,
            declared_frames=declared,
            decoded_frames=self.decoded,
            analysed_frames=self.analysed,
            skipped=tuple(skipped),
            first_pts_us=self.first_pts_us,
            last_pts_us=self.last_pts_us,
        )

    def _reached(self) -> int | None:
        return self.last_pts_us if self.decoded else None
