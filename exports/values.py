"""What every writer is given: a description of the analysis, its frames and its detections."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisDescription:
    """What holds for every frame and detection of an analysis."""

    video: str  # file name
    width: int  # of the upright frame, pixels
    height: int
    time_base: str  # "1/15360", seconds per tick of the stream's own clock
    model: str
    task: str  # one of contract.manifest.TASKS
    classes: tuple[str, ...]  # index = class id
    tracked: bool  # whether the tracker ran

    def class_name(self, class_id: int) -> str:
        return self.classes[class_id] if 0 <= class_id < len(self.classes) else f"class {class_id}"


# Named tuples, because millions of them are made and a frozen dataclass takes several times as long to make.
class AnalysedFrame(NamedTuple):
    frame_index: int  # among all analysed frames, from 0
    pts_us: int  # the stream's own time, microseconds


class DetectionRow(NamedTuple):
    """One detection. Floats are finite float32 values, and text formats write no more digits than those need."""

    frame_index: int
    ordinal: int  # in its frame, from 0, most confident first
    pts_us: int
    class_id: int
    track_id: int | None  # from 1
    confidence: float  # 0 to 1
    x1: float  # pixels of the upright frame, x to the right, y down, (0, 0) the outer corner of the first pixel
    y1: float
    x2: float
    y2: float
    # By the model's task. segment: x, y of each corner of the largest outline, pixels; pose: x, y in pixels and
    # confidence of each key point; obb: x, y of the centre, width and height in pixels, angle in radians from the
    # x axis towards the y axis; the box is its hull. None for detect, and for classify, whose box is the frame.
    shape: Sequence[float] | None


# Yields the bytes of the file. Detections come in the order of (frame_index, ordinal). Frames are asked for after
# the last detection, or not at all: whoever writes while a video is analysed need not know them before.
Write = Callable[[AnalysisDescription, Iterable[AnalysedFrame], Iterable[DetectionRow]], Iterator[bytes]]
