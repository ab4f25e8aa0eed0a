import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_job.letterbox import GREY, Letterbox

sides = st.integers(8, 3000)
sizes = st.integers(1, 32).map(lambda number: 32 * number)


@pytest.mark.parametrize(
    ("frame", "size", "canvas", "top", "left"),
    [
        pytest.param((360, 640), 640, (384, 640), 12, 0, id="wide"),
        pytest.param((640, 360), 640, (640, 384), 0, 12, id="upright"),
        pytest.param((1080, 1920), 640, (384, 640), 12, 0, id="full HD"),
        pytest.param((480, 640), 640, (480, 640), 0, 0, id="nothing to pad"),
        pytest.param((45, 64), 64, (64, 64), 9, 0, id="odd padding is below"),
    ],
)
def test_a_rectangle_is_padded_to_the_next_multiple_of_the_stride(
    frame: tuple[int, int], size: int, canvas: tuple[int, int], top: int, left: int
) -> None:
    """The network's input is as small as its stride allows, which is what makes wide videos cheap."""
    letterbox = Letterbox.rectangle(frame, image_size=size, stride=32)
    assert (letterbox.canvas, letterbox.top, letterbox.left) == (canvas, top, left)


@given(height=sides, width=sides, size=sizes)
def test_the_picture_lies_inside_a_canvas_of_whole_strides(height: int, width: int, size: int) -> None:
    """Otherwise the network refuses the input."""
    letterbox = Letterbox.rectangle((height, width), image_size=size, stride=32)
    assert all(side % 32 == 0 for side in letterbox.canvas)
    assert max(letterbox.canvas) == size
    assert letterbox.top + letterbox.resized[0] <= letterbox.canvas[0]
    assert letterbox.left + letterbox.resized[1] <= letterbox.canvas[1]


@given(
    height=sides,
    width=sides,
    size=sizes,
    corners=st.lists(st.tuples(*[st.floats(0, 1, width=32)] * 4), max_size=10),
)
def test_boxes_come_back_to_where_they_were(
    height: int, width: int, size: int, corners: list[tuple[float, float, float, float]]
) -> None:
    """Onto the canvas and back, to a hundredth of a pixel of the canvas."""
    letterbox = Letterbox.rectangle((height, width), image_size=size, stride=32)
    boxes = np.array(corners, np.float64).reshape(-1, 4) * [width, height, width, height]
    gain = np.array([letterbox.resized[1] / width, letterbox.resized[0] / height] * 2)
    there = boxes * gain + [letterbox.left, letterbox.top] * 2
    back = letterbox.to_frame(there.astype(np.float32))
    assert back.dtype == np.float32
    np.testing.assert_array_less(np.abs(back - boxes) * gain, 0.01)


@given(boxes=st.lists(st.tuples(*[st.floats(-1e4, 1e4, width=32)] * 4), max_size=10))
def test_boxes_end_at_the_frame(boxes: list[tuple[float, float, float, float]]) -> None:
    """A box may reach into the padding; a user must not see it beside the picture."""
    back = Letterbox.rectangle((90, 160), image_size=64, stride=32).to_frame(
        np.array(boxes, np.float32).reshape(-1, 4)
    )
    assert (back >= 0).all()
    assert (back[:, 0::2] <= 160).all()
    assert (back[:, 1::2] <= 90).all()


def test_the_padding_is_grey_and_the_picture_untouched() -> None:
    image = np.random.default_rng(1).integers(0, 255, (40, 64, 3), np.uint8)
    canvas = Letterbox.rectangle((40, 64), image_size=64, stride=32).place(image)
    assert (canvas[12:52] == image).all()
    assert (canvas[:12] == GREY).all()
    assert (canvas[52:] == GREY).all()


def test_a_frame_of_another_shape_is_fitted_into_the_same_canvas() -> None:
    """A stream may change its size in the middle; the network was compiled for one input."""
    letterbox = Letterbox.inside((100, 100), (64, 128))
    assert letterbox.resized == (64, 64)
    np.testing.assert_allclose(letterbox.to_frame(np.array([[32, 0, 96, 64]], np.float32)), [[0, 0, 100, 100]])


def test_a_letterbox_refuses_a_picture_it_is_not_made_for() -> None:
    with pytest.raises(ValueError, match="letterbox"):
        Letterbox.inside((100, 100), (64, 128)).place(np.zeros((10, 10, 3), np.uint8))
