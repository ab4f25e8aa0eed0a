"""From the candidates of one picture to its boxes.

The rules are those of `ultralytics.utils.nms.non_max_suppression` as its predictor calls it: one class per box,
the best; a box is kept if its confidence is above the threshold; of boxes of the same class that overlap by more
than `iou` only the most confident stays (greedy suppression, Neubeck and Van Gool 2006); at most 300 boxes.
"""

import numpy as np
from numpy.typing import NDArray

from batch_job.candidates import Candidates
from batch_job.letterbox import Letterbox
from batch_job.values import Detections, Floats

MOST_BOXES = 300
MOST_CANDIDATES = 30_000
CLASS_OFFSET = 7680  # pixels; moves the classes apart, so that one pass suppresses within each


def by_confidence(candidates: Candidates) -> NDArray[np.intp]:
    """Indices, most confident first; of equal confidence the lower anchor first.

    Without boxes that are no numbers, as half precision may give where a sum was too large for it: comparisons
    with them are false, so that each would take all others of its frame along, and JSON has no word for them.
    """
    order = np.argsort(-candidates.confidence, kind="stable")
    sound = np.asarray(np.isfinite(candidates.boxes).all(axis=1))
    if len(candidates.extras):
        sound = sound & np.isfinite(candidates.extras).all(axis=1)
    return order[sound[order]][:MOST_CANDIDATES]


def suppress(candidates: Candidates, *, iou: float) -> NDArray[np.intp]:
    """Indices of the boxes that stay, in the order of `by_confidence`."""
    order = by_confidence(candidates)
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
    return in_frame(candidates, suppress(candidates, iou=iou), letterbox)


def in_frame(
    candidates: Candidates, stay: NDArray[np.intp], letterbox: Letterbox, shapes: tuple[Floats, ...] = ()
) -> Detections:
    """The boxes at the indices `stay`, in pixels of the upright frame, with their shapes."""
    return Detections(
        boxes=letterbox.to_frame(candidates.boxes[stay]),
        confidence=candidates.confidence[stay].astype(np.float32),
        class_id=candidates.class_id[stay].astype(np.int16),
        shapes=shapes,
    )
