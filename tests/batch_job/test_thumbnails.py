from collections.abc import Sequence

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batch_job.thumbnails import annotated_jpeg, evenly_spaced
from batch_job.values import Detections, FrameResult, Image


def result(
    *boxes: tuple[float, float, float, float], track_id: int = 0, shape: Sequence[float] = ()
) -> FrameResult:
    return FrameResult(
        index=0,
        pts_us=0,
        detections=Detections(
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            confidence=np.full(len(boxes), 0.5, np.float32),
            class_id=np.zeros(len(boxes), np.int16),
            shapes=(np.array(shape, np.float32),) * len(boxes) if shape else (),
        ),
        track_id=np.full(len(boxes), track_id, np.int32),
    )


def picture(jpeg: bytes) -> Image:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(np.uint8, copy=False)


@given(frames=st.integers(0, 10_000), wanted=st.integers(0, 32))
def test_thumbnails_are_spread_evenly(frames: int, wanted: int) -> None:
    """Different frames, all inside, their distances equal but for rounding."""
    indices = evenly_spaced(frames, wanted)
    assert len(indices) == min(frames, wanted)
    assert all(0 <= index < frames for index in indices)
    if len(indices) > 1:
        steps = np.diff(indices)
        assert steps.max() - steps.min() <= 1


def test_a_box_is_drawn_where_it_is() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    drawn = picture(annotated_jpeg(image, result((100, 80, 200, 150), track_id=3), ["bottle"], task="detect"))
    assert drawn.shape == image.shape
    assert drawn[115, 100].max() > 60  # the left edge
    assert drawn[115, 150].max() < 20  # its inside is left alone
    assert image.max() == 0


def test_large_frames_become_small_pictures() -> None:
    image = np.zeros((2160, 3840, 3), np.uint8)
    drawn = picture(annotated_jpeg(image, result((0, 0, 3840, 2160)), ["bottle"], task="detect"))
    assert drawn.shape == (720, 1280, 3)
    assert drawn[360, 1].max() > 60


def test_boxes_at_the_border_and_without_area_can_be_drawn() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    annotated_jpeg(
        image, result((0, 0, 30, 20), (29, 19, 30, 20), (5, 5, 5, 5)), ["a long name of a class"], task="detect"
    )


def test_an_outline_is_drawn_where_it_is() -> None:
    """Inside its box, at half the size of the frame."""
    image = np.zeros((1440, 2560, 3), np.uint8)
    diamond = (1000, 400, 1400, 800, 1000, 1200, 600, 800)
    drawn = picture(annotated_jpeg(image, result((600, 400, 1400, 1200), shape=diamond), ["cup"], task="segment"))
    for x, y in ((500, 200), (600, 300), (700, 400), (400, 500)):  # corners and edges
        assert drawn[y - 2 : y + 3, x - 2 : x + 3].max() > 60
    assert drawn[400, 500].max() < 20


def test_key_points_are_drawn_where_the_network_is_sure() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    points = (120, 100, 0.9, 170, 120, 0.1)
    drawn = picture(annotated_jpeg(image, result((100, 80, 200, 150), shape=points), ["person"], task="pose"))
    assert drawn[100, 120].max() > 60
    assert drawn[120, 170].max() < 20
    assert drawn[115, 100].max() > 60  # the box


def test_an_oriented_box_is_drawn_turned_and_its_hull_is_not() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    oriented = (150, 100, 80, 40, np.pi / 4)
    drawn = picture(annotated_jpeg(image, result((107, 57, 193, 143), shape=oriented), ["ship"], task="obb"))
    middle_of_the_end = 150 + round(40 / np.sqrt(2)), 100 + round(40 / np.sqrt(2))
    assert drawn[middle_of_the_end[1], middle_of_the_end[0]].max() > 60
    assert drawn[130, 107].max() < 20  # the hull's left edge
    assert drawn[100, 150].max() < 20


def test_classes_of_the_frame_are_listed_below_each_other() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    whole = (0, 0, 300, 200)
    one = picture(annotated_jpeg(image, result(whole), ["cat"], task="classify"))
    two = picture(annotated_jpeg(image, result(whole, whole), ["cat"], task="classify"))
    rows_of_one, rows_of_two = (np.flatnonzero(drawn[:, :20].max(axis=(1, 2)) > 60) for drawn in (one, two))
    assert len(rows_of_two) > 1.5 * len(rows_of_one) > 0
    assert two[100:].max() < 20
