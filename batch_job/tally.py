"""What has come out of a decoder so far, and the report made of it."""

from dataclasses import dataclass, field

from batch_job.endings import TORN
from batch_job.orientation import Orientation
from contract.results import DecodeReport, SkippedFrames

_SKIPPED_LISTED = 100  # the report stays small however damaged the file is
# Others may pack several pictures together, or send one that is only looked up.
_A_FRAME_FROM_EVERY_PACKET = ("h264", "hevc", "vp9", "av1", "mjpeg")


@dataclass(kw_only=True, slots=True)
class DecodeTally:
    packets: int = 0  # each with a picture that is meant to be shown
    lost: int = 0  # of them, those reported one by one
    ends_us: int | None = None  # when the last of their pictures ends
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

    def add_packet(self, *, end_us: int | None) -> None:
        """The file holds another picture, which is shown until `end_us`."""
        self.packets += 1
        if end_us is not None and (self.ends_us is None or end_us > self.ends_us):
            self.ends_us = end_us

    def lose(self, reason: str) -> None:
        """A picture does not become a frame."""
        self.lost += 1
        self.skip(reason)

    def skip(self, reason: str) -> None:
        """The file is damaged at this place."""
        if len(self.skipped) < _SKIPPED_LISTED:
            self.skipped.append(SkippedFrames(after_pts_us=self._reached(), reason=reason))
        else:
            self.more_skipped += 1

    def report(
        self,
        *,
        container: str,
        codec: str,
        time_base: str,
        declared: int | None,
        declared_end_us: int | None,
        step_us: int,
        torn: bool,
    ) -> DecodeReport:
        """`declared` frames and their end are what the header says; a frame is shown for about `step_us`.

        `torn` is true of a file that does not end as its format demands.
        """
        skipped = list(self.skipped)
        if self.more_skipped:
            reason = f"{self.more_skipped} more damaged places are not listed"
            skipped.append(SkippedFrames(after_pts_us=None, reason=reason))
        swallowed = self.packets - self.lost - self.decoded
        if swallowed > 0 and codec in _A_FRAME_FROM_EVERY_PACKET:
            reason = f"{swallowed} pictures did not come out of the decoder"
            skipped.append(SkippedFrames(after_pts_us=None, reason=reason))
        cut_off = self._cut_off(declared, declared_end_us, step_us) or (TORN if torn else None)
        if cut_off is not None:
            skipped.append(SkippedFrames(after_pts_us=self._reached(), reason=cut_off))
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

    def _cut_off(self, declared: int | None, declared_end_us: int | None, step_us: int) -> str | None:
        """Why pictures are missing at the end, if they are.

        Too few are no proof where the time is filled: edit lists hide some, and AVI counts empty slots.
        """
        ends_us = self.ends_us or 0
        if declared is not None and self.packets >= declared:
            return None
        if declared_end_us is not None and ends_us + step_us // 2 >= declared_end_us:
            return None
        if declared is not None:
            return f"the file ends after {self.packets} of {declared} declared frames"
        if declared_end_us is not None:
            return (
                f"the file ends at {(self.ends_us or 0) / 1e6:.2f} of {declared_end_us / 1e6:.2f} declared seconds"
            )
        return None

    def _reached(self) -> int | None:
        return self.last_pts_us if self.decoded else None
