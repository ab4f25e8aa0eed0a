import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batch_job.thumbnails import annotated_jpeg, evenly_spaced
from batch_job.values import Detections, FrameResult, Image


def result(*boxes: tuple[float, float, float, float], track_id: int = 0) -> FrameResult:
    return FrameResult(
        index=0,
        pts_us=0,
        detections=Detections(
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            confidence=np.full(len(boxes), 0.5, np.float32),
            class_id=np.zeros(len(boxes), np.int16),
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
    drawn = picture(annotated_jpeg(image, result((100, 80, 200, 150), track_id=3), ["bottle"]))
    assert drawn.shape == image.shape
    assert drawn[115, 100].max() > 60  # the left edge
    assert drawn[115, 150].max() < 20  # its inside is left alone
    assert image.max() == 0


def test_large_frames_become_small_pictures() -> None:
    image = np.zeros((2160, 3840, 3), np.uint8)
    drawn = picture(annotated_jpeg(image, result((0, 0, 3840, 2160)), ["bottle"]))
    assert drawn.shape == (720, 1280, 3)
    assert drawn[360, 1].max() > 60


def test_boxes_at_the_border_and_without_area_can_be_drawn() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    annotated_jpeg(image, result((0, 0, 30, 20), (29, 19, 30, 20), (5, 5, 5, 5)), ["a long name of a class"])
