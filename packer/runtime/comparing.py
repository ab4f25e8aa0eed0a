"""Whether two engines find the same in one clip; rows are those of the analyser's `detections.jsonl`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tolerance:
    """The same box lies in the same frame, is of the same class, and differs by no more than this."""

    overlap: float  # intersection over union
    confidence: float


# The design's bar for engines that compute in single precision; half precision rounds to three digits.
TOLERANCES = {
    "f32": Tolerance(overlap=0.95, confidence=0.02),
    "native": Tolerance(overlap=0.9, confidence=0.05),
}
SURE = 0.3  # confidence of the reference's boxes that are looked for; what is less sure comes and goes
SHARE = 0.99  # of them that must be found: where two boxes are equally sure, rounding decides which one stays


def agreement(reference: Iterable[Row], found: Iterable[Row], tolerance: Tolerance) -> tuple[int, int]:
    """How many boxes of the reference were looked for, and how many of them are among what was found."""
    places: dict[tuple[int, int], list[Row]] = defaultdict(list)
    for row in found:
        places[row["frame_index"], row["class_id"]].append(row)
    sure = [row for row in reference if row["confidence"] >= SURE]
    same = sum(
        any(_is_same(row, other, tolerance) for other in places[row["frame_index"], row["class_id"]])
        for row in sure
    )
    return len(sure), same


def _is_same(one: Row, other: Row, tolerance: Tolerance) -> bool:
    close = abs(one["confidence"] - other["confidence"]) <= tolerance.confidence
    return close and _overlap(one, other) >= tolerance.overlap


def _overlap(one: Row, other: Row) -> float:
    width = min(one["x2"], other["x2"]) - max(one["x1"], other["x1"])
    height = min(one["y2"], other["y2"]) - max(one["y1"], other["y1"])
    common = max(width, 0.0) * max(height, 0.0)
    together = _area(one) + _area(other) - common
    return common / together if together else 1.0


def _area(row: Row) -> float:
    return float((row["x2"] - row["x1"]) * (row["y2"] - row["y1"]))
