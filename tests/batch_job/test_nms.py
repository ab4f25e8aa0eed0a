import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batch_job.candidates import Keep, candidates_in
from batch_job.letterbox import Letterbox
from batch_job.nms import MOST_BOXES, detections_from, suppress

SQUARE = Letterbox.inside((640, 640), (640, 640))


def raw_output(seed: int, *, anchors: int = 80, classes: int = 3, crowd: float = 60) -> NDArray[np.float32]:
    """A head's output with many overlapping boxes."""
    random = np.random.default_rng(seed)
    centres = 100 + crowd * random.random((2, anchors))
    sizes = 20 + 40 * random.random((2, anchors))
    scores = random.random((classes, anchors)) ** 3
    return np.concatenate((centres, sizes, scores)).astype(np.float32)


def overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.clip(sides, 0, None)))
    return shared / (float(np.prod(one[2:] - one[:2])) + float(np.prod(other[2:] - other[:2])) - shared)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), confidence=st.floats(0.05, 0.9), iou=st.floats(0.1, 0.9))
def test_what_stays_does_not_overlap_and_what_goes_does(seed: int, confidence: float, iou: float) -> None:
    """The definition of greedy suppression, within each class."""
    candidates = candidates_in(raw_output(seed), Keep(confidence=confidence))
    stay = suppress(candidates, iou=iou)
    assert len(set(stay)) == len(stay)
    scores = candidates.confidence
    assert (np.diff(scores[stay]) <= 0).all()
    for index in range(len(scores)):
        better = [
            overlap(candidates.boxes[index], candidates.boxes[other])
            for other in stay
            if other != index
            and candidates.class_id[other] == candidates.class_id[index]
            and scores[other] >= scores[index]
        ]
        covered = max(better, default=0.0)
        # The class offset costs some digits of the coordinates, so the border itself is not tested.
        assert covered <= iou + 1e-3 if index in stay else covered >= iou - 1e-3


@given(seed=st.integers(0, 10**6))
def test_no_box_below_the_threshold_and_only_classes_that_were_asked_for(seed: int) -> None:
    candidates = candidates_in(raw_output(seed), Keep(confidence=0.3, classes=(0, 2)))
    assert (candidates.confidence > np.float32(0.3)).all()
    assert set(candidates.class_id.tolist()) <= {0, 2}


def test_the_candidates_outlive_the_output_they_came_from() -> None:
    """The engine uses its memory again for the next picture."""
    raw = raw_output(3)
    candidates = candidates_in(raw, Keep(confidence=0.2))
    before = candidates.boxes.copy(), candidates.confidence.copy()
    raw[:] = 0
    assert (candidates.boxes == before[0]).all()
    assert (candidates.confidence == before[1]).all()


def test_boxes_of_different_classes_leave_each_other_alone() -> None:
    raw = np.array([[50, 50], [50, 50], [20, 20], [20, 20], [0.9, 0], [0, 0.8]], np.float32)
    assert len(detections_from(candidates_in(raw, Keep(confidence=0.1)), SQUARE, iou=0.5)) == 2


def test_of_equal_boxes_the_first_anchor_stays() -> None:
    """Ties are broken by the order of the anchors, so the same frame always gives the same rows."""
    raw = np.tile(np.array([[50], [50], [20], [20], [0.5]], np.float32), (1, 4))
    assert suppress(candidates_in(raw, Keep(confidence=0.1)), iou=0.5).tolist() == [0]


def test_there_is_a_most_of_boxes() -> None:
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(40))).reshape(2, -1) * 20.0
    raw = np.concatenate((grid, np.full_like(grid, 5), np.linspace(0.3, 0.9, 1600)[None])).astype(np.float32)
    found = detections_from(candidates_in(raw, Keep(confidence=0.1)), SQUARE, iou=0.5)
    assert len(found) == MOST_BOXES
    assert found.confidence[0] == np.float32(0.9)


def test_boxes_without_area_do_no_harm() -> None:
    raw = np.array([[50, 50], [50, 50], [0, 0], [0, 0], [0.9, 0.8]], np.float32)
    detections_from(candidates_in(raw, Keep(confidence=0.1)), SQUARE, iou=0.5)


def test_a_box_that_is_no_number_takes_no_other_with_it() -> None:
    """Half precision gives some where a sum was too large for it. Every comparison with them is false."""
    raw = raw_output(5, anchors=40)
    sound = detections_from(candidates_in(raw, Keep(confidence=0.1)), SQUARE, iou=0.5)
    strange = np.array([[np.nan, 50], [50, 50], [20, np.inf], [20, 20], [0.99, 0.98], [0, 0], [0, 0]], np.float32)
    found = detections_from(candidates_in(np.hstack((strange, raw)), Keep(confidence=0.1)), SQUARE, iou=0.5)
    assert len(sound) > 5
    np.testing.assert_array_equal(found.boxes, sound.boxes)
    np.testing.assert_array_equal(found.confidence, sound.confidence)


def test_nothing_found_is_no_rows() -> None:
    found = detections_from(candidates_in(raw_output(1), Keep(confidence=0.99999)), SQUARE, iou=0.5)
    assert (len(found), found.boxes.shape) == (0, (0, 4))
