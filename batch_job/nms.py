"""From a YOLOv8 head's raw output to the boxes of one picture.

The rules are those of `ultralytics.utils.nms.non_max_suppression` as its predictor calls it: one class per box,
the best; a box is kept if its confidence is above the threshold; of boxes of the same class that overlap by more
than `iou` only the most confident stays (greedy suppression, Neubeck and Van Gool 2006); at most 300 boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch_job.letterbox import Letterbox
from batch_job.values import Detections, Floats

MOST_BOXES = 300
MOST_CANDIDATES = 30_000
CLASS_OFFSET = 7680  # pixels; moves the classes apart, so that one pass suppresses within each


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidates:
    """Boxes above the confidence threshold, in the order of the network's anchors."""

    boxes: Floats  # (n, 4): x1 y1 x2 y2, pixels of the network's input
    confidence: Floats  # (n,)
    class_id: NDArray[np.int64]  # (n,)


def candidates_in(raw: Floats, *, confidence: float, classes: Sequence[int] | None = None) -> Candidates:
    """`raw` has shape (4 + classes, anchors): centre x, centre y, width, height in pixels, then class scores.

    Nothing of the result refers to `raw`, whose memory may be reused.
    """
    scores = raw[4:]
    kept = np.flatnonzero(scores.max(axis=0) > np.float32(confidence))
    few = raw[:, kept]
    class_id = few[4:].argmax(axis=0)
    if classes is not None:
        wanted = np.isin(class_id, classes)
        few, class_id = few[:, wanted], class_id[wanted]
    half = few[2:4] / 2
    boxes = np.concatenate((few[0:2] - half, few[0:2] + half)).T
    return Candidates(
        boxes=np.ascontiguousarray(boxes),
        confidence=few[4 + class_id, np.arange(len(class_id))],
        class_id=class_id,
    )


def suppress(candidates: Candidates, *, iou: float) -> NDArray[np.intp]:
    """Indices of the boxes that stay, most confident first; of equal confidence the lower anchor first."""
    order = np.argsort(-candidates.confidence, kind="stable")[:MOST_CANDIDATES]
    boxes = candidates.boxes[order] + (candidates.class_id[order] * CLASS_OFFSET).astype(np.float32)[:, None]
    low, high = boxes[:, :2], boxes[:, 2:]
    areas = (high - low).prod(axis=1)
    threshold = np.float32(iou)
    rest = np.arange(len(order))
    stay: list[int] = []
    while len(rest) and len(stay) < MOST_BOXES:
        best, rest = rest[0], rest[1:]
        stay.append(int(best))
        sides = np.minimum(high[best], high[rest]) - np.maximum(low[best], low[rest])
        overlap = sides.clip(min=0).prod(axis=1)
        # Written without a division, because degenerate boxes have a union of zero.
        rest = rest[overlap <= threshold * (areas[best] + areas[rest] - overlap)]
    return order[stay]


def detections_from(candidates: Candidates, letterbox: Letterbox, *, iou: float) -> Detections:
    """The boxes of the frame that stay, in pixels of the upright frame, rounded to what is stored."""
    stay = suppress(candidates, iou=iou)
    if not len(stay):
        return Detections.none()
    return Detections(
        boxes=letterbox.to_frame(candidates.boxes[stay]),
        confidence=candidates.confidence[stay].astype(np.float32),
        class_id=candidates.class_id[stay].astype(np.int16),
    )
