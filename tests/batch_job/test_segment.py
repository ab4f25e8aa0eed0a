"""Masks and their outlines."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from batch_job.candidates import Candidates, Keep
from batch_job.letterbox import Letterbox
from batch_job.segment import COEFFICIENTS, masked_candidates_in, segments_from
from batch_job.values import Floats

SAME = Letterbox.inside((96, 160), (96, 160))


def blobs(seed: int, canvas: tuple[int, int], *, many: int = 12) -> tuple[Candidates, NDArray[Any]]:
    """Smooth prototypes, and boxes all over the canvas and over its border."""
    random = np.random.default_rng(seed)
    height, width = canvas
    noise = random.normal(size=(COEFFICIENTS, height // 4, width // 4)).astype(np.float32)
    prototypes = np.stack([cv2.GaussianBlur(each, (0, 0), 4) for each in noise])
    low = random.uniform(-20, (width - 10, height - 10), (many, 2))
    boxes = np.concatenate((low, low + random.uniform(1, 90, (many, 2))), axis=1).astype(np.float32)
    candidates = Candidates(
        boxes=boxes,
        confidence=np.linspace(0.9, 0.3, many, dtype=np.float32),
        class_id=np.arange(many),
        extras=random.normal(size=(many, COEFFICIENTS)).astype(np.float32),
        prototypes=prototypes,
    )
    return candidates, boxes


@pytest.mark.torch
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("frame", [(96, 160), (337, 511), (500, 300)])
def test_outlines_are_ultralytics_outlines(seed: int, frame: tuple[int, int], ultralytics_installed: None) -> None:
    """Its masks, its contours and its rescaling; of a mask of several parts the largest."""
    import torch
    from ultralytics.utils import ops

    letterbox = Letterbox.rectangle(frame, image_size=160, stride=32)
    candidates, boxes = blobs(seed, letterbox.canvas)
    masks = ops.process_mask(
        torch.from_numpy(candidates.prototypes),
        torch.from_numpy(candidates.extras),
        torch.from_numpy(boxes.copy()),
        letterbox.canvas,
        upsample=True,
    ).numpy()
    wanted = []
    for mask in masks:
        parts, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        if parts:
            largest = max(parts, key=cv2.contourArea).reshape(-1, 2).astype(np.float32)
            wanted.append(ops.scale_coords(letterbox.canvas, largest, frame))
        if len(parts) == 1:
            (segment,) = ops.masks2segments(mask[None])
            np.testing.assert_array_equal(ops.scale_coords(letterbox.canvas, segment, frame), wanted[-1])

    found = segments_from(candidates, letterbox, iou=0.99)

    assert len(found) == len(found.shapes) == len(wanted) >= 5
    for outline, expected in zip(found.shapes, wanted, strict=True):
        np.testing.assert_allclose(outline.reshape(-1, 2), expected, rtol=0, atol=1e-3)


@given(seed=st.integers(0, 10**6))
def test_outlines_lie_inside_their_boxes(seed: int) -> None:
    candidates, _ = blobs(seed, (96, 160))
    found = segments_from(candidates, SAME, iou=0.99)
    for box, outline in zip(found.boxes, found.shapes, strict=True):
        points = outline.reshape(-1, 2)
        assert len(points) > 0
        assert (points >= box[:2]).all()
        assert (points < box[2:]).all()


def test_a_box_without_a_mask_is_no_detection() -> None:
    """What ultralytics drops as well: its class was seen, and no pixel of it."""
    candidates, _ = blobs(1, (96, 160), many=1)
    candidates.prototypes[:] = 0
    assert len(segments_from(candidates, SAME, iou=0.5)) == 0


def test_the_candidates_outlive_the_outputs_they_came_from() -> None:
    """The engine uses its memory again for the next picture."""
    raw: Floats = np.zeros((4 + 2 + COEFFICIENTS, 3), np.float32)
    raw[:4, 1], raw[5, 1], raw[6:, 1] = (80, 48, 20, 20), 0.9, 1.0
    prototypes = np.ones((COEFFICIENTS, 24, 40), np.float32)
    candidates = masked_candidates_in([raw, prototypes], Keep(confidence=0.5))
    raw[:], prototypes[:] = 0, 0
    found = segments_from(candidates, SAME, iou=0.5)
    assert found.class_id.tolist() == [1]
    assert found.shapes[0].reshape(-1, 2).max(axis=0).tolist() == [89, 57]


def test_without_candidates_no_prototypes_are_kept() -> None:
    """Most frames of many videos show nothing, and prototypes are megabytes."""
    raw: Floats = np.zeros((4 + 2 + COEFFICIENTS, 3), np.float32)
    outputs = [raw, np.ones((COEFFICIENTS, 24, 40), np.float32)]
    candidates = masked_candidates_in(outputs, Keep(confidence=0.5))
    assert candidates.prototypes.size == 0
    assert len(segments_from(candidates, SAME, iou=0.5)) == 0
