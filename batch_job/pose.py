"""Pose: key points for each box.

The rules are those of `ultralytics.models.yolo.pose.predict`: the network gives the points in pixels of its input
and their confidence from 0 to 1, and they are brought back to the frame and clipped to it as the boxes are.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from batch_job.candidates import Candidates, Keep, candidates_in
from batch_job.letterbox import Letterbox
from batch_job.nms import in_frame, suppress
from batch_job.values import Detections, Floats


def posed_candidates_in(raw: Floats, keep: Keep, *, keypoint_shape: Sequence[int]) -> Candidates:
    """`raw` has shape (4 + classes + points * values, anchors), and `keypoint_shape` is (points, values: 2 or 3).

    In the result every point has three values: x, y, confidence, which is 1 where the network gives none.
    """
    found = candidates_in(raw, keep, extras=prod(keypoint_shape))
    points = found.extras.reshape(-1, *keypoint_shape)
    if points.shape[2] == 2:
        points = np.concatenate((points, np.ones_like(points[:, :, :1])), axis=2)
    return replace(found, extras=points.reshape(-1, 3 * points.shape[1]))


def poses_from(candidates: Candidates, letterbox: Letterbox, *, iou: float) -> Detections:
    """Boxes with key points: x, y in pixels of the upright frame, and confidence, of one point after the other."""
    stay = suppress(candidates, iou=iou)
    poses = candidates.extras[stay]
    points = poses.reshape(len(stay), poses.shape[1] // 3, 3)
    points[:, :, :2] = letterbox.points_to_frame(points[:, :, :2])
    return in_frame(candidates, stay, letterbox, tuple(poses))
