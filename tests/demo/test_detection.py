"""The measuring detector: letterbox and suppression as ultralytics does them."""

import numpy as np
import pytest

from demo.detection import Letterboxed, letterbox, predictions_from


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        pytest.param(360, 640, (384, 640), id="demo video"),
        pytest.param(640, 360, (640, 384), id="upright"),
        pytest.param(720, 1280, (384, 640), id="larger, same shape"),
        pytest.param(480, 640, (480, 640), id="already a multiple"),
        pytest.param(100, 100, (640, 640), id="square, enlarged"),
    ],
)
def test_letterbox_pads_to_the_next_multiple_of_the_stride(height, width, expected):
    """The smallest input the network takes without distortion is the cheapest one."""
    tensor = letterbox(np.zeros((height, width, 3), np.uint8)).tensor
    assert tensor.shape == (1, 3, *expected)
    assert tensor.dtype == np.float32


def test_letterbox_centres_the_image_as_rgb_between_grey_bars():
    """Networks saw training pictures this way."""
    image = np.zeros((360, 640, 3), np.uint8)
    image[:, :, 0] = 255
    boxed = letterbox(image)
    assert boxed.tensor[0, :, 11, 0] == pytest.approx([114 / 255] * 3)
    assert boxed.tensor[0, :, 12, 0].tolist() == [0, 0, 1]
    assert boxed.tensor[0, :, 372, 0] == pytest.approx([114 / 255] * 3)


def test_boxes_return_to_image_pixels_and_duplicates_vanish():
    """Only the most confident of boxes of one class that overlap too much stays; other classes keep theirs."""
    columns = [
        # centre x, centre y, width, height, then a confidence per class
        (110, 62, 20, 20, 0.9, 0.0),
        (111, 62, 20, 20, 0.8, 0.0),
        (110, 62, 20, 20, 0.0, 0.7),
        (10, 20, 40, 20, 0.6, 0.0),
        (200, 200, 20, 20, 0.1, 0.2),
    ]
    found = predictions_from(
        np.array(columns, np.float32).T,
        letterboxed=Letterboxed(tensor=np.empty((1, 3, 0, 0), np.float32), scale=0.5, left=0, top=12),
        frame_index=4,
        size=(720, 1280),
        confidence=0.25,
        iou=0.7,
    )
    assert [(box.class_id, round(box.confidence, 2)) for box in found] == [(0, 0.9), (1, 0.7), (0, 0.6)]
    first, _, last = found
    assert (first.x1, first.y1, first.x2, first.y2) == (200, 80, 240, 120)
    assert (last.x1, last.y1, last.x2, last.y2) == (0, 0, 60, 36)
    assert first.frame_index == 4
