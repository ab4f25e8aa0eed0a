"""Oriented boxes: each is turned about its centre by an angle.

The rules are those of `ultralytics.utils.nms.non_max_suppression` with `rotated=True` and of
`ultralytics.models.yolo.obb.predict`: a box goes if any more confident one of its class is closer to it than
`iou`, even one that goes itself ("Fast NMS", Bolya et al. 2019, "YOLACT"). Closeness is 1 less the Hellinger
distance of two normal distributions with the centre and spread of the boxes (Llerena et al. 2021, "Gaussian
Bounding Boxes and Probabilistic Intersection-over-Union for Object Detection").
"""

import numpy as np
from numpy.typing import NDArray

from batch_job.candidates import Candidates
from batch_job.letterbox import Letterbox
from batch_job.nms import CLASS_OFFSET, MOST_BOXES, by_confidence
from batch_job.values import Detections, Floats

ANGLES = 1  # of each box, in radians, from the x axis to the width, clockwise as seen
_TINY = np.float32(1e-7)
_AT_ONCE = 512  # columns of the matrix of all pairs, which may have 30,000


def oriented_from(candidates: Candidates, letterbox: Letterbox, *, iou: float) -> Detections:
    """Oriented boxes: centre x, centre y, width, height in pixels of the upright frame, angle in radians.

    They may reach over the frame's border; the boxes are their axis-aligned hulls, clipped to the frame.
    """
    low, high = candidates.boxes[:, :2], candidates.boxes[:, 2:]
    oriented = np.concatenate(((low + high) / 2, high - low, candidates.extras), axis=1)
    stay = suppress_oriented(candidates, oriented, iou=iou)
    shapes = oriented[stay]
    shapes[:, :2] = (shapes[:, :2] - letterbox.corner) / letterbox.gain
    shapes[:, 2:4] /= letterbox.gain
    corners = corners_of(shapes)
    hulls = np.stack((corners.min(axis=1), corners.max(axis=1)), axis=1)
    height, width = letterbox.frame
    return Detections(
        boxes=hulls.clip(0, np.array([width, height], np.float32)).reshape(-1, 4),
        confidence=candidates.confidence[stay],
        class_id=candidates.class_id[stay].astype(np.int16),
        shapes=tuple(shapes),
    )


def corners_of(oriented: Floats) -> Floats:
    """(n, 5) centre x, centre y, width, height, angle -> (n, 4, 2), one corner after the other around the box."""
    centre, (width, height, angle) = oriented[:, :2], oriented[:, 2:].T
    along = np.stack((width / 2 * np.cos(angle), width / 2 * np.sin(angle)), axis=1)
    across = np.stack((-height / 2 * np.sin(angle), height / 2 * np.cos(angle)), axis=1)
    around = np.stack((along + across, along - across, -along - across, across - along), axis=1)
    return np.asarray(centre[:, None] + around, np.float32)


def suppress_oriented(candidates: Candidates, oriented: Floats, *, iou: float) -> NDArray[np.intp]:
    """Indices of the boxes that stay, most confident first; `oriented` (n, 5) in pixels of the network's input."""
    order = by_confidence(candidates)
    boxes = oriented[order]
    boxes[:, :2] += (candidates.class_id[order] * CLASS_OFFSET).astype(np.float32)[:, None]
    stay: list[int] = []
    for start in range(0, len(order), _AT_ONCE):
        columns = boxes[start : start + _AT_ONCE]
        close = probabilistic_iou(boxes[: start + len(columns)], columns) > np.float32(iou)
        better = np.triu(close, 1 - start)  # rows of more confident boxes only
        stay.extend(start + np.flatnonzero(~better.any(axis=0)))
        if len(stay) >= MOST_BOXES:
            break
    return order[stay[:MOST_BOXES]]


def probabilistic_iou(some: Floats, others: Floats) -> Floats:
    """Of each pair of oriented boxes (n, 5) and (m, 5), shape (n, m)."""
    x, y, a, b, c = (values[:, None] for values in _gaussian(some))
    other_x, other_y, other_a, other_b, other_c = _gaussian(others)
    a_both, b_both, c_both = a + other_a, b + other_b, c + other_c
    right, down = other_x - x, other_y - y
    spread = a_both * b_both - c_both**2
    distance = (a_both * down**2 + b_both * right**2) / (spread + _TINY) / 4
    distance -= c_both * right * down / (spread + _TINY) / 2
    own = np.sqrt((a * b - c**2).clip(0) * (other_a * other_b - other_c**2).clip(0))
    distance += np.log(spread / (4 * own + _TINY) + _TINY) / 2  # Bhattacharyya
    hellinger = np.sqrt(1 - np.exp(-distance.clip(_TINY, 100)) + _TINY)
    return np.asarray(1 - hellinger, np.float32)


def _gaussian(oriented: Floats) -> tuple[Floats, ...]:
    """Mean x and y, variances across and down, and covariance, each (n,), of the uniform distribution on a box."""
    x, y, width, height, angle = oriented.T
    along, across, cos, sin = width**2 / 12, height**2 / 12, np.cos(angle), np.sin(angle)
    return (
        x,
        y,
        along * cos**2 + across * sin**2,
        along * sin**2 + across * cos**2,
        (along - across) * cos * sin,
    )
