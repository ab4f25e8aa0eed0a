"""Instance segmentation: a mask for each box, kept as the outline of its largest part.

The rules are those of `process_mask` in `ultralytics.utils.ops` as `ultralytics.models.yolo.segment.predict` calls
it: a mask is a sum of prototypes, weighted by the box's coefficients (Bolya et al. 2019, "YOLACT"), enlarged to
the network's input by bilinear interpolation, and true where that is above 0 inside the box; a box with an empty
mask is dropped. The outline is that of `masks2segments` there, nothing of it simplified away; but of a mask of
several parts only the largest is outlined, so that one polygon is stored, drawn and exported without seams.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from batch_job.candidates import Candidates, Keep, candidates_in
from batch_job.letterbox import Letterbox, Shape
from batch_job.nms import in_frame, suppress
from batch_job.values import Detections, Floats

COEFFICIENTS = 32  # of every YOLOv8 segmentation network, and as many prototypes


def masked_candidates_in(outputs: Sequence[Floats], keep: Keep) -> Candidates:
    """`outputs`: boxes, scores and coefficients, (4 + classes + 32, anchors), and prototypes, (32, height, width).

    Nothing of the result refers to `outputs`, whose memory may be reused.
    """
    raw, prototypes = outputs
    found = candidates_in(raw, keep, extras=COEFFICIENTS)
    return replace(found, prototypes=prototypes.copy()) if len(found.boxes) else found


def segments_from(candidates: Candidates, letterbox: Letterbox, *, iou: float) -> Detections:
    """Boxes with outlines: x1 y1 x2 y2 ... in pixels of the upright frame; without one there is no detection."""
    stay = suppress(candidates, iou=iou)
    outlines = [_outline(candidates, index, letterbox.canvas) for index in stay]
    seen = [number for number, outline in enumerate(outlines) if len(outline)]
    shapes = tuple(letterbox.points_to_frame(outlines[number]).reshape(-1) for number in seen)
    return in_frame(candidates, stay[seen], letterbox, shapes)


def _outline(candidates: Candidates, index: int, canvas: Shape) -> Floats:
    """Points (k, 2) of the largest part's outline in pixels of the canvas; none where nothing is inside the box.

    Only the part that the box shows is made: whole masks of hundreds of boxes would take longer than the network.
    """
    nothing = np.zeros((0, 2), np.float32)
    _, rows, columns = candidates.prototypes.shape
    height, width = canvas
    scale_y, scale_x = height // rows, width // columns
    (left, top), (right, bottom) = np.ceil(candidates.boxes[index].reshape(2, 2)).astype(int)
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        return nothing
    # Interpolation reads one cell to each side of the box.
    first_column, first_row = max(left // scale_x - 1, 0), max(top // scale_y - 1, 0)
    cells = candidates.prototypes[:, first_row : bottom // scale_y + 2, first_column : right // scale_x + 2]
    mask = np.tensordot(candidates.extras[index], cells, axes=1)
    size = mask.shape[1] * scale_x, mask.shape[0] * scale_y
    mask = cv2.resize(mask, size, interpolation=cv2.INTER_LINEAR)
    left_inside, top_inside = left - first_column * scale_x, top - first_row * scale_y
    mask = mask[top_inside : top_inside + bottom - top, left_inside : left_inside + right - left]
    outlines, _ = cv2.findContours(
        (mask > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(left, top)
    )
    largest = max(outlines, key=cv2.contourArea, default=nothing)
    return np.asarray(largest, np.float32).reshape(-1, 2)
