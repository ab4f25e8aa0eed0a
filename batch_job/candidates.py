"""What a network hands on: the few boxes of a picture that may matter, copied out of the engine's memory."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from batch_job.values import Floats


@dataclass(frozen=True, kw_only=True, slots=True)
class Keep:
    """Which boxes may matter: those whose best class is wanted and has a score above the threshold."""

    confidence: float
    classes: tuple[int, ...] | None = None  # class ids; None keeps all


def _nothing() -> Floats:
    return np.zeros((0, 0), np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """Boxes above the confidence threshold, in the order of the network's anchors.

    What comes after the classes is empty but for the tasks that say what it is: `segment`, `pose` and `obb`.
    """

    boxes: Floats  # (n, 4): x1 y1 x2 y2, pixels of the network's input
    confidence: Floats  # (n,)
    class_id: NDArray[np.int64]  # (n,)
    extras: Floats = field(default_factory=_nothing)  # (n, m): what else the network says of each box
    prototypes: Floats = field(default_factory=_nothing)  # (coefficients, height, width), of the whole picture


def candidates_in(raw: Floats, keep: Keep, *, extras: int = 0) -> Candidates:
    """`raw` has shape (4 + classes + extras, anchors): centre x, centre y, width, height in pixels, then scores,
    0 to 1, then what else there is of each box.

    Nothing of the result refers to `raw`, whose memory may be reused.
    """
    end = len(raw) - extras
    kept = np.flatnonzero(raw[4:end].max(axis=0) > np.float32(keep.confidence))
    few = raw[:, kept]
    class_id = few[4:end].argmax(axis=0)
    if keep.classes is not None:
        wanted = np.isin(class_id, keep.classes)
        few, class_id = few[:, wanted], class_id[wanted]
    half = few[2:4] / 2
    boxes = np.concatenate((few[0:2] - half, few[0:2] + half)).T
    return Candidates(
        boxes=np.ascontiguousarray(boxes),
        confidence=few[4 + class_id, np.arange(len(class_id))],
        class_id=class_id,
        extras=np.ascontiguousarray(few[end:].T),
    )
