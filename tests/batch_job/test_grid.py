"""Decoding only where a score is high gives what decoding everything gives."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_job.candidates import Candidates, Keep, candidates_in
from batch_job.grid import Level, candidates_on
from batch_job.values import Floats

BINS, CLASSES = 16, 3


def always(sides: Floats) -> Callable[[], Floats]:
    return lambda: sides


def levels(seed: int, *, spread: float = 3.0) -> list[Level]:
    """A head's maps for an input of 64x96 pixels."""
    random = np.random.default_rng(seed)
    return [
        Level(
            sides=always(random.normal(0, 2, (4 * BINS, 64 // stride, 96 // stride)).astype(np.float32)),
            classes=random.normal(-1, spread, (CLASSES, 64 // stride, 96 // stride)).astype(np.float32),
            stride=stride,
        )
        for stride in (8, 16, 32)
    ]


def decoded(level: Level) -> Floats:
    """All of it: (4 + classes, cells), as the whole network would give it, in float64 on the way."""
    rows, columns = level.classes.shape[1:]
    sides = np.exp(level.sides().astype(np.float64)).reshape(4, BINS, -1)
    left, top, right, bottom = np.einsum("sbn,b->sn", sides / sides.sum(axis=1, keepdims=True), np.arange(BINS))
    y, x = (grid.ravel() + 0.5 for grid in np.mgrid[:rows, :columns])
    boxes = np.stack((x + (right - left) / 2, y + (bottom - top) / 2, left + right, top + bottom)) * level.stride
    scores = 1 / (1 + np.exp(-level.classes.astype(np.float64).reshape(CLASSES, -1)))
    return np.concatenate((boxes, scores)).astype(np.float32)


def assert_alike(found: Candidates, wanted: Candidates) -> None:
    assert found.class_id.tolist() == wanted.class_id.tolist()
    np.testing.assert_allclose(found.confidence, wanted.confidence, rtol=1e-5)
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-3)


@given(seed=st.integers(0, 10_000), confidence=st.floats(0.01, 1.0), wanted=st.none() | st.sets(st.integers(0, 2)))
def test_the_candidates_are_those_of_the_whole_output(
    seed: int, confidence: float, wanted: set[int] | None
) -> None:
    keep = Keep(confidence=confidence, classes=None if wanted is None else tuple(wanted))
    maps = levels(seed)
    assert_alike(candidates_on(maps, keep), candidates_in(np.hstack([decoded(level) for level in maps]), keep))


@pytest.mark.parametrize("confidence", [0.3, 0.25, 0.5])
def test_a_score_must_be_above_the_threshold_and_not_only_near_it(confidence: float) -> None:
    """Logits are compared with some slack first; what the slack lets in is looked at again."""
    at = np.float32(np.log(confidence / (1 - confidence)))
    near = Level(
        sides=always(np.zeros((4 * BINS, 1, 3), np.float32)),
        classes=np.array([[[at - 5e-4, at + 5e-4, at - 2e-3]]], np.float32),
        stride=8,
    )
    assert candidates_on([near], Keep(confidence=confidence)).boxes[:, 0].tolist() == [8 * (1.5 - 7.5)]


def test_an_empty_picture_has_no_candidates() -> None:
    none = candidates_on(levels(1), Keep(confidence=1.0))
    assert (none.boxes.shape, none.confidence.shape, none.class_id.shape) == ((0, 4), (0,), (0,))


def test_boxes_are_computed_only_at_resolutions_with_a_high_score() -> None:
    """They are a branch of the network of their own, whose numbers nobody reads elsewhere."""
    asked: list[int] = []

    def level(stride: int, score: float) -> Level:
        def sides() -> Floats:
            asked.append(stride)
            return np.zeros((4 * BINS, 2, 2), np.float32)

        return Level(sides=sides, classes=np.full((CLASSES, 2, 2), score, np.float32), stride=stride)

    found = candidates_on([level(8, -5.0), level(16, 5.0), level(32, -5.0)], Keep(confidence=0.25))
    assert (asked, len(found.boxes)) == ([16], 4)
