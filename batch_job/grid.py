"""From the raw maps of a YOLOv8 head to candidates: only places with a high score are decoded, and the branch of
the head that tells where boxes end is computed only at resolutions that have such a place.

The rules are those of `ultralytics.nn.modules.head.Detect`: a score is the sigmoid of its logit; each side's
distance from the cell's centre, in cells, is the mean of a distribution over bins (Li et al. 2020, "Generalized
Focal Loss").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from batch_job.candidates import Candidates, Keep
from batch_job.values import Floats

# A logit whose sigmoid could still round to above the threshold is looked at more closely.
_SLACK = np.float32(1e-3)


@dataclass(frozen=True, kw_only=True, slots=True)
class Level:
    """What the head says at one resolution."""

    classes: Floats  # (classes, h, w): logits
    # Computes (4 x bins, h, w): logits of the distances to the left, top, right and bottom.
    sides: Callable[[], Floats]
    stride: int  # pixels of the network's input per cell


def candidates_on(levels: Sequence[Level], keep: Keep) -> Candidates:
    """Nothing of the result refers to the levels, whose memory may be reused."""
    found = [_candidates_of(level, keep) for level in levels]
    return Candidates(
        boxes=np.concatenate([each.boxes for each in found]),
        confidence=np.concatenate([each.confidence for each in found]),
        class_id=np.concatenate([each.class_id for each in found]),
    )


def _candidates_of(level: Level, keep: Keep) -> Candidates:
    classes, _, width = level.classes.shape
    logits = level.classes.reshape(classes, -1)
    cells = np.flatnonzero(logits.max(axis=0) > _logit(keep.confidence) - _SLACK)
    few = logits[:, cells]
    class_id = few.argmax(axis=0)
    confidence = _sigmoid(few[class_id, np.arange(len(cells))])
    stay = confidence > np.float32(keep.confidence)
    if keep.classes is not None:
        stay &= np.isin(class_id, keep.classes)
    cells = cells[stay]
    if not len(cells):
        return Candidates(boxes=np.zeros((0, 4), np.float32), confidence=confidence[stay], class_id=class_id[stay])
    sides = level.sides()
    sides = _means(sides.reshape(4, len(sides) // 4, -1)[:, :, cells])
    centre = np.stack((cells % width, cells // width)).astype(np.float32) + np.float32(0.5)
    corners = np.concatenate((centre - sides[:2], centre + sides[2:])) * np.float32(level.stride)
    return Candidates(boxes=np.ascontiguousarray(corners.T), confidence=confidence[stay], class_id=class_id[stay])


def _means(logits: Floats) -> Floats:
    """(4, bins, n) -> (4, n): the mean bin of each softmax distribution."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    bins = np.arange(logits.shape[1], dtype=np.float32)[:, None]
    means: Floats = (weights * bins).sum(axis=1) / weights.sum(axis=1)
    return means


def _sigmoid(logits: Floats) -> Floats:
    scores: Floats = np.reciprocal(1 + np.exp(-logits))
    return scores


def _logit(score: float) -> np.float32:
    """Infinite at 0 and 1, as it should be."""
    with np.errstate(divide="ignore"):
        ratio = np.float32(score)
        return np.float32(np.log(ratio) - np.log1p(-ratio))
