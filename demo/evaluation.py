"""How well predictions fit the truth: precision, recall, mAP50 and identity switches. Pure functions.

Boxes are x1 y1 x2 y2 in pixels, x2 and y2 exclusive. Objects of which less than `min_visible` is seen are
*ignored*, like crowd regions in COCO: missing one is no miss, and a prediction that fits one, of whatever
class, is no false alarm, for what a sliver is cannot be told.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from demo.scenes import TruthBox

MIN_VISIBLE = 0.3
MATCH_IOU = 0.5

_Key = TypeVar("_Key", bound=Hashable)
_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prediction:
    """One detection in one frame, with its track when a tracker has seen it."""

    frame_index: int
    class_id: int
    confidence: float
    x1: float
    y1: float
    x2: float
    y2: float
    track_id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameMatch:
    """Whose prediction fits which object: indices into the frame's truth and predictions.

    `ignored` predictions fit an ignored object, `spurious` ones none; `missed` are objects that count.
    """

    pairs: tuple[tuple[int, int], ...]
    missed: tuple[int, ...]
    spurious: tuple[int, ...]
    ignored: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """Counts of one evaluation, and the two shares that follow from them."""

    true_positives: int
    false_positives: int
    false_negatives: int

    @property
    def precision(self) -> float:
        """Share of the predictions that are right; 1 when there are none."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of the objects that are found; 1 when there are none."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)


def iou_matrix(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union (Jaccard index) of every pair: (n, 4) and (m, 4) boxes give (n, m)."""
    a, b = np.asarray(first, np.float64).reshape(-1, 4), np.asarray(second, np.float64).reshape(-1, 4)
    corner = np.maximum(a[:, None, :2], b[None, :, :2])
    opposite = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(opposite - corner, 0, None), axis=2)
    areas_a, areas_b = np.prod(a[:, 2:] - a[:, :2], axis=1), np.prod(b[:, 2:] - b[:, :2], axis=1)
    union = areas_a[:, None] + areas_b[None, :] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1.0), 0.0)


def match_frame(
    truth: Sequence[TruthBox],
    predictions: Sequence[Prediction],
    *,
    min_iou: float = MATCH_IOU,
    min_visible: float = MIN_VISIBLE,
) -> FrameMatch:
    """Match greedily: most confident prediction first, each to the free object of its class it fits best.

    The rule of the COCO evaluation (cocodataset/cocoapi, `COCOeval.evaluateImg`), but an ignored object takes
    predictions of any class and any number.
    """
    overlap = iou_matrix(_boxes(predictions), _boxes(truth))
    counted = [box.visible_fraction >= min_visible for box in truth]
    free = {index for index, counts in enumerate(counted) if counts}
    pairs, spurious, ignored = [], [], []
    for guess in sorted(range(len(predictions)), key=lambda index: -predictions[index].confidence):
        fitting = [
            index
            for index in free
            if truth[index].class_id == predictions[guess].class_id and overlap[guess, index] >= min_iou
        ]
        if fitting:
            best = max(fitting, key=lambda index: (overlap[guess, index], -index))
            free.remove(best)
            pairs.append((best, guess))
        elif any(not counts and overlap[guess, index] >= min_iou for index, counts in enumerate(counted)):
            ignored.append(guess)
        else:
            spurious.append(guess)
    return FrameMatch(
        pairs=tuple(sorted(pairs)),
        missed=tuple(sorted(free)),
        spurious=tuple(sorted(spurious)),
        ignored=tuple(sorted(ignored)),
    )


def score(
    truth: Iterable[TruthBox],
    predictions: Iterable[Prediction],
    *,
    min_iou: float = MATCH_IOU,
    min_visible: float = MIN_VISIBLE,
) -> Score:
    """Precision and recall over all frames, after matching each frame."""
    right = wrong = missed = 0
    for boxes, guesses in _by_frame(truth, predictions):
        match = match_frame(boxes, guesses, min_iou=min_iou, min_visible=min_visible)
        right += len(match.pairs)
        wrong += len(match.spurious)
        missed += len(match.missed)
    return Score(true_positives=right, false_positives=wrong, false_negatives=missed)


def average_precision(
    truth: Iterable[TruthBox],
    predictions: Iterable[Prediction],
    *,
    min_iou: float = MATCH_IOU,
    min_visible: float = MIN_VISIBLE,
) -> dict[int, float]:
    """Average precision of each class that has objects which count.

    Area under the precision-recall curve after making precision monotone (PASCAL VOC 2010 development kit,
    section 3.4.1; all points, no 11-point sampling). Pass predictions down to a very low confidence.
    """
    hits: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    objects: dict[int, int] = defaultdict(int)
    for boxes, guesses in _by_frame(truth, predictions):
        match = match_frame(boxes, guesses, min_iou=min_iou, min_visible=min_visible)
        for box in boxes:
            objects[box.class_id] += box.visible_fraction >= min_visible
        right = {guess for _, guess in match.pairs}
        for index in (*right, *match.spurious):
            hits[guesses[index].class_id].append((guesses[index].confidence, index in right))
    counted = sorted((class_id, count) for class_id, count in objects.items() if count)
    return {class_id: _area_under_curve(hits[class_id], count) for class_id, count in counted}


def mean_average_precision(
    truth: Iterable[TruthBox],
    predictions: Iterable[Prediction],
    *,
    min_iou: float = MATCH_IOU,
    min_visible: float = MIN_VISIBLE,
) -> float:
    """Mean of `average_precision` over the classes: mAP50 at the default overlap; 1 without objects."""
    found = average_precision(truth, predictions, min_iou=min_iou, min_visible=min_visible)
    return float(np.mean(list(found.values()))) if found else 1.0


def identity_switches(
    truth: Iterable[TruthBox],
    tracked: Iterable[Prediction],
    *,
    min_iou: float = MATCH_IOU,
    min_visible: float = MIN_VISIBLE,
) -> int:
    """How often the track that follows an object changes to another one (class is not looked at).

    CLEAR MOT (Bernardin and Stiefelhagen, 2008, "mismatches"): an earlier pairing is kept while it still
    overlaps enough; what is left is paired by overlap, best first. A gap in a track is no switch, and
    predictions without `track_id` are left out.
    """
    last_track: dict[int, int] = {}
    switches = 0
    for boxes, guesses in _by_frame(truth, (guess for guess in tracked if guess.track_id is not None)):
        seen = [box for box in boxes if box.visible_fraction >= min_visible]
        overlap = iou_matrix(_boxes(seen), _boxes(guesses))
        pairs = [(box, guess) for box, guess in np.argwhere(overlap >= min_iou).tolist()]
        pairs.sort(
            key=lambda pair: (
                last_track.get(seen[pair[0]].identity) != guesses[pair[1]].track_id,
                -overlap[pair[0], pair[1]],
            )
        )
        paired_boxes: set[int] = set()
        paired_guesses: set[int] = set()
        for box, guess in pairs:
            if box in paired_boxes or guess in paired_guesses:
                continue
            paired_boxes.add(box)
            paired_guesses.add(guess)
            identity, track = seen[box].identity, guesses[guess].track_id
            assert track is not None
            switches += last_track.get(identity, track) != track
            last_track[identity] = track
    return switches


def _area_under_curve(hits: Sequence[tuple[float, bool]], objects: int) -> float:
    """Area under the monotone precision-recall curve of (confidence, right or not) pairs."""
    if not hits:
        return 0.0
    right = np.array([hit for _, hit in sorted(hits, key=lambda pair: -pair[0])])
    found = np.cumsum(right)
    recall = np.concatenate([[0.0], found / objects])
    precision = found / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope))


def _by_frame(
    truth: Iterable[TruthBox], predictions: Iterable[Prediction]
) -> Iterable[tuple[list[TruthBox], list[Prediction]]]:
    """Truth and predictions of each frame that has either, in frame order."""
    boxes = _grouped((box.frame_index, box) for box in truth)
    guesses = _grouped((guess.frame_index, guess) for guess in predictions)
    return [(boxes.get(frame, []), guesses.get(frame, [])) for frame in sorted({*boxes, *guesses})]


def _grouped(pairs: Iterable[tuple[_Key, _Item]]) -> Mapping[_Key, list[_Item]]:
    groups: dict[_Key, list[_Item]] = defaultdict(list)
    for key, item in pairs:
        groups[key].append(item)
    return groups


def _boxes(items: Sequence[TruthBox] | Sequence[Prediction]) -> NDArray[np.float64]:
    """Boxes of the items, shape (n, 4)."""
    return np.array([(item.x1, item.y1, item.x2, item.y2) for item in items], np.float64).reshape(-1, 4)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
