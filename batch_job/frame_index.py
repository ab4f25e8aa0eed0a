"""Every frame of a file by its time, read from the container without decoding: what seeking is checked against."""

from dataclasses import dataclass
from pathlib import Path

import av.error
import numpy as np
from numpy.typing import NDArray

from batch_job.arriving import ArrivingFile
from batch_job.container import best_video_stream, open_container, packets_of
from batch_job.sampling import Choice, choice_for
from batch_job.timeline import end_us, to_microseconds
from contract.options import AnalysisOptions

# Codecs in which every packet gives a frame. Not Motion JPEG: of a damaged picture it shows, without a word, what
# happened to lie in memory, and that depends on where decoding began.
_CODECS = ("h264", "hevc", "vp9", "av1")


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameIndex:
    """A stream in which every packet has a time of its own and should give one frame."""

    pts_us: NDArray[np.int64]  # of each frame, in the order in which they are shown
    keys_us: NDArray[np.int64]  # of the key frames, where decoding can begin
    ends_us: int  # when the last of them ends

    def place_before(self, options: AnalysisOptions, start: int) -> tuple[int, Choice]:
        """Position in `pts_us` of analysed frame `start` - 1, and the choice among the frames behind it.

        -1 for `start` 0, and the last position where there are not so many.
        """
        chosen = choice_for(options)
        analysed, position = 0, -1
        for pts_us in self.pts_us.tolist() if start else ():
            position += 1
            analysed += chosen(pts_us)
            if analysed == start:
                break
        return position, chosen

    def time_before(self, options: AnalysisOptions, start: int) -> int:
        """Of analysed frame `start` - 1, in microseconds."""
        return int(self.pts_us[self.place_before(options, start)[0]])

    def analysed_frames(self, options: AnalysisOptions) -> int:
        return sum(map(choice_for(options), self.pts_us.tolist()))

    def keys_before(self, position: int) -> list[int]:
        """Times of the key frames that are shown no later than the frame at `position`, the last first."""
        keys: list[int] = self.keys_us[self.keys_us <= self.pts_us[position]][::-1].tolist()
        return keys or [int(self.pts_us[0])]


def read_index(file: Path | ArrivingFile) -> FrameIndex | None:
    """None where the packets do not tell the frames: damage, no times, or pictures that hide in others' packets.

    Raises VideoUnreadable, and MemoryError.
    """
    with open_container(file) as container:
        stream = best_video_stream(container)
        codec, kind = stream.codec_context.name, container.format.name
        if codec not in _CODECS or (kind, codec) == ("avi", "h264"):
            return None
        times: list[int] = []
        keys: list[int] = []
        ends: list[int] = []
        try:
            for packet in packets_of(container, stream):
                if not packet.size:
                    continue
                if packet.pts is None or packet.time_base is None or packet.is_corrupt:
                    return None
                pts_us = to_microseconds(packet.pts, packet.time_base)
                if packet.is_keyframe:
                    keys.append(pts_us)
                if not packet.is_discard:
                    times.append(pts_us)
                    ends.append(end_us(packet) or pts_us)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            return None
    shown = np.sort(np.array(times, np.int64))
    if not times or not keys or (np.diff(shown) == 0).any():
        return None
    return FrameIndex(pts_us=shown, keys_us=np.sort(np.array(keys, np.int64)), ends_us=max(ends))
