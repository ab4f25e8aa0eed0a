"""What passes between the stages."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (height, width, 3), BGR
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    index: int  # among all analysed frames, from 0
    pts_us: int  # the stream's own time
    image: Image  # upright, and of the size of the first one


@dataclass(frozen=True, kw_only=True, slots=True)
class Detections:
    """The boxes of one frame, most confident first, in exactly the precision in which they are stored.

    A shape is an array of numbers whose meaning is its task's, as `contract.tables` tells.
    """

    boxes: Floats  # (n, 4): x1 y1 x2 y2, pixels of the upright frame
    confidence: Floats  # (n,)
    class_id: NDArray[np.int16]  # (n,)
    shapes: tuple[Floats, ...] = ()  # one for each box, or none at all

    def __len__(self) -> int:
        return len(self.class_id)

    @classmethod
    def none(cls) -> Self:
        return cls(
            boxes=np.zeros((0, 4), np.float32), confidence=np.zeros(0, np.float32), class_id=np.zeros(0, np.int16)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameResult:
    """One analysed frame as it is stored."""

    index: int
    pts_us: int
    detections: Detections
    track_id: NDArray[np.int32]  # (n,), 0 where a detection belongs to no track


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """Consecutive analysed frames that are committed together."""

    number: int  # from 0
    frames: tuple[FrameResult, ...]  # never empty
    damaged: bool = False  # when it was stored, something of the video had been skipped or mended

    @property
    def first_frame(self) -> int:
        return self.frames[0].index

    @property
    def end_frame(self) -> int:
        """One past the last frame."""
        return self.frames[-1].index + 1
