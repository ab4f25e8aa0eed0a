"""Key points."""

import numpy as np
import pytest

from batch_job.candidates import Keep
from batch_job.letterbox import Letterbox
from batch_job.pose import posed_candidates_in, poses_from

KEEP = Keep(confidence=0.5)
TWO_BOXES = np.array([[50, 300], [50, 90], [20, 20], [20, 20], [0.6, 0.9]], np.float32)


def output(points: list[list[float]]) -> np.ndarray:
    """One row of `points` for each of the two boxes."""
    return np.concatenate((TWO_BOXES, np.array(points, np.float32).T))


def test_points_go_where_the_boxes_go_and_stay_inside_the_frame() -> None:
    """A frame of twice the canvas, with padding above and below."""
    letterbox = Letterbox.rectangle((180, 640), image_size=320, stride=32)
    top = letterbox.top
    assert top > 0
    raw = output([[60, 40 + top, 0.7, 400, -5, 0.2], [10, 20 + top, 0.5, 0, 0, 0.1]])
    found = poses_from(posed_candidates_in(raw, KEEP, keypoint_shape=(2, 3)), letterbox, iou=0.7)
    assert found.confidence.tolist() == pytest.approx([0.9, 0.6])
    assert found.shapes[0].tolist() == pytest.approx([20, 40, 0.5, 0, 0, 0.1])
    assert found.shapes[1].tolist() == pytest.approx([120, 80, 0.7, 640, 0, 0.2])


def test_points_without_confidence_are_sure() -> None:
    """So that three numbers are a point whatever the network."""
    letterbox = Letterbox.inside((100, 320), (100, 320))
    raw = output([[60, 40, 62, 42], [300, 90, 302, 92]])
    found = poses_from(posed_candidates_in(raw, KEEP, keypoint_shape=(2, 2)), letterbox, iou=0.7)
    assert found.shapes[0].tolist() == [300, 90, 1, 302, 92, 1]
    assert found.shapes[1].tolist() == [60, 40, 1, 62, 42, 1]


def test_an_empty_frame_has_no_points() -> None:
    letterbox = Letterbox.inside((100, 320), (100, 320))
    raw = output([[0] * 6, [0] * 6])
    nothing = posed_candidates_in(raw, Keep(confidence=0.95), keypoint_shape=(2, 3))
    assert poses_from(nothing, letterbox, iou=0.7).shapes == ()
