"""JSON Lines: one detection a line, with the field names of the API."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from exports.text import json_text, pieces, short
from exports.values import AnalysedFrame, AnalysisDescription, DetectionRow


def write(
    description: AnalysisDescription, frames: Iterable[AnalysedFrame], detections: Iterable[DetectionRow]
) -> Iterator[bytes]:
    return pieces(json_text(_document(description, row)) + "\n" for row in detections)


def _document(description: AnalysisDescription, row: DetectionRow) -> dict[str, Any]:
    return {
        "frame_index": row.frame_index,
        "ordinal": row.ordinal,
        "pts_us": row.pts_us,
        "class_id": row.class_id,
        "class": description.class_name(row.class_id),
        "track_id": row.track_id,
        "confidence": short(row.confidence),
        "x1": short(row.x1),
        "y1": short(row.y1),
        "x2": short(row.x2),
        "y2": short(row.y2),
        **geometry(description.task, row.shape),
    }


def geometry(task: str, shape: Sequence[float] | None) -> dict[str, Any]:
    """The shape under a name that says what it is, as the API gives it too; nothing where there is none."""
    if shape is None:
        return {}
    values = [short(value) for value in shape]
    match task:
        case "segment":
            return {"polygon": [values[at : at + 2] for at in range(0, len(values), 2)]}
        case "pose":
            return {"keypoints": [values[at : at + 3] for at in range(0, len(values), 3)]}
        case _:
            return {task: values}
