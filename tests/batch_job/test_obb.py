"""Oriented boxes: suppression, rescaling and hulls."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from batch_job.candidates import Keep, candidates_in
from batch_job.letterbox import Letterbox
from batch_job.nms import MOST_BOXES
from batch_job.obb import corners_of, oriented_from

SQUARE = Letterbox.inside((640, 640), (640, 640))


def raw_output(seed: int, *, anchors: int, spread: float = 400) -> NDArray[np.float32]:
    """(4 + 3 + 1, anchors): many overlapping boxes at every angle a network gives."""
    random = np.random.default_rng(seed)
    rows = (
        100 + spread * random.random((2, anchors)),
        10 + 100 * random.random((2, anchors)),
        random.random((3, anchors)) ** 4,
        np.pi * (random.random((1, anchors)) - 0.25),
    )
    return np.concatenate(rows).astype(np.float32)


@pytest.mark.torch
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("anchors", [40, 1500])
def test_suppression_is_ultralytics_suppression(seed: int, anchors: int, ultralytics_installed: None) -> None:
    """On crowded random output, to the last box and in the same order."""
    import torch
    from ultralytics.utils.nms import non_max_suppression

    raw = raw_output(seed, anchors=anchors)
    theirs = non_max_suppression(torch.from_numpy(raw[None].copy()), 0.2, 0.4, nc=3, rotated=True)[0].numpy()
    found = oriented_from(candidates_in(raw, Keep(confidence=0.2), extras=1), SQUARE, iou=0.4)
    np.testing.assert_array_equal(found.class_id, theirs[:, 5])
    np.testing.assert_array_equal(found.confidence, theirs[:, 4])
    np.testing.assert_allclose(np.array(found.shapes), theirs[:, [0, 1, 2, 3, 6]], rtol=0, atol=1e-3)
    assert len(found) > 20


@given(seed=st.integers(0, 10**6))
def test_the_box_is_the_hull_inside_the_frame(seed: int) -> None:
    """The tracker follows it, so it must lie where the object is."""
    letterbox = Letterbox.rectangle((337, 511), image_size=320, stride=32)
    found = oriented_from(
        candidates_in(raw_output(seed, anchors=30), Keep(confidence=0.1), extras=1), letterbox, iou=0.5
    )
    corners = corners_of(np.array(found.shapes).reshape(-1, 5)).clip(0, (511, 337))
    np.testing.assert_allclose(found.boxes[:, :2], corners.min(axis=1), atol=1e-3)
    np.testing.assert_allclose(found.boxes[:, 2:], corners.max(axis=1), atol=1e-3)


def test_an_eighth_of_a_turn_is_clockwise_as_seen() -> None:
    """The width of 40 runs down to the right; y grows downwards."""
    ((first, _, third, _),) = corners_of(np.array([[100, 100, 40, 0, np.pi / 4]], np.float32))
    np.testing.assert_allclose(first, [100 + 20 / np.sqrt(2)] * 2, rtol=1e-6)
    np.testing.assert_allclose(third, [100 - 20 / np.sqrt(2)] * 2, rtol=1e-6)


def test_there_is_a_most_of_boxes() -> None:
    grid = np.stack(np.meshgrid(np.arange(40), np.arange(40))).reshape(2, -1) * 20.0
    sizes, angles = np.full_like(grid, 5), np.zeros((1, 1600))
    raw = np.concatenate((grid, sizes, np.linspace(0.3, 0.9, 1600)[None], angles)).astype(np.float32)
    found = oriented_from(candidates_in(raw, Keep(confidence=0.1), extras=1), SQUARE, iou=0.5)
    assert len(found) == MOST_BOXES
    assert found.confidence[0] == np.float32(0.9)


def test_boxes_without_area_and_an_empty_frame_do_no_harm() -> None:
    flat = np.array([[50, 50], [50, 50], [0, 20], [0, 0], [0.9, 0.8], [0, 1]], np.float32)
    assert len(oriented_from(candidates_in(flat, Keep(confidence=0.1), extras=1), SQUARE, iou=0.5)) > 0
    nothing = oriented_from(candidates_in(flat, Keep(confidence=0.95), extras=1), SQUARE, iou=0.5)
    assert (len(nothing), nothing.boxes.shape, nothing.shapes) == (0, (0, 4), ())


def test_a_box_that_is_no_number_takes_no_other_with_it() -> None:
    raw = raw_output(5, anchors=40)
    sound = oriented_from(candidates_in(raw, Keep(confidence=0.1), extras=1), SQUARE, iou=0.5)
    turned_by_nothing = np.array([50, 50, 20, 20, 0.99, 0, 0, np.nan], np.float32)[:, None]
    both = np.hstack((turned_by_nothing, raw))
    found = oriented_from(candidates_in(both, Keep(confidence=0.1), extras=1), SQUARE, iou=0.5)
    assert len(sound) > 5
    np.testing.assert_array_equal(found.boxes, sound.boxes)
