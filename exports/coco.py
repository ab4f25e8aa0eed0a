"""COCO: one JSON document, https://cocodataset.org/#format-data

Identifiers start at 1, as COCO's own do: pycocotools takes an annotation 0 for "no match" when it evaluates. What
COCO has no field for (`score`, `track_id`, `pts_us`, ...) stands beside its fields, where its readers do not look.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from exports.text import json_text, pieces, short
from exports.values import AnalysedFrame, AnalysisDescription, DetectionRow

VISIBLE_CONFIDENCE = 0.5  # a key point below it is taken for hidden: COCO's visibility 1, not 2
_LEAST_POLYGON = 6  # numbers; pycocotools takes a polygon of four for a box


def write(
    description: AnalysisDescription, frames: Iterable[AnalysedFrame], detections: Iterable[DetectionRow]
) -> Iterator[bytes]:
    return pieces(_lines(description, frames, detections))


def _lines(
    description: AnalysisDescription, frames: Iterable[AnalysedFrame], detections: Iterable[DetectionRow]
) -> Iterator[str]:
    classes, keypoints = len(description.classes), 0
    yield f'{{"info":{json_text(_info(description))},\n"licenses":[],\n"annotations":['
    for number, row in enumerate(detections, start=1):
        yield _item(number, _annotation(number, description.task, row))
        classes = max(classes, row.class_id + 1)
        if description.task == "pose":
            keypoints = max(keypoints, len(row.shape or ()) // 3)
    yield '],\n"images":['
    for number, frame in enumerate(frames, start=1):
        yield _item(number, _image(description, frame))
    yield '],\n"categories":['
    for class_id in range(classes):
        yield _item(class_id + 1, _category(description, class_id, keypoints))
    yield "]}\n"


def _item(number: int, document: dict[str, Any]) -> str:
    return f"{',' if number > 1 else ''}\n{json_text(document)}"


def _info(description: AnalysisDescription) -> dict[str, Any]:
    return {
        "description": f"What {description.model} found in {description.video}",
        "video": description.video,
        "model": description.model,
        "task": description.task,
        "time_base": description.time_base,
    }


def _image(description: AnalysisDescription, frame: AnalysedFrame) -> dict[str, Any]:
    return {
        "id": frame.frame_index + 1,
        "width": description.width,
        "height": description.height,
        "file_name": f"{frame.frame_index + 1:06d}.jpg",
        "frame_index": frame.frame_index,
        "pts_us": frame.pts_us,
    }


def _category(description: AnalysisDescription, class_id: int, keypoints: int) -> dict[str, Any]:
    category: dict[str, Any] = {
        "id": class_id + 1,
        "name": description.class_name(class_id),
        "supercategory": "",
    }
    if description.task == "pose":
        category["keypoints"] = [f"keypoint {number}" for number in range(1, keypoints + 1)]
        category["skeleton"] = []
    return category


def _annotation(number: int, task: str, row: DetectionRow) -> dict[str, Any]:
    x, y, width, height = row.x1, row.y1, row.x2 - row.x1, row.y2 - row.y1
    return {
        "id": number,
        "image_id": row.frame_index + 1,
        "category_id": row.class_id + 1,
        "bbox": [short(x), short(y), _single(width), _single(height)],
        "area": _single(width * height),
        "iscrowd": 0,
        "segmentation": [],
        "score": short(row.confidence),
        "track_id": row.track_id,
        **_geometry(task, row.shape or ()),
    }


def _geometry(task: str, shape: Sequence[float]) -> dict[str, Any]:
    """COCO's own fields for the outline or the key points."""
    if task == "segment" and len(shape) >= _LEAST_POLYGON:
        return {"segmentation": [[short(value) for value in shape]], "area": _single(_area(shape))}
    if task == "obb" and shape:
        corners = _corners(*shape)
        return {
            "segmentation": [[_single(value) for value in corners]],
            "area": _single(shape[2] * shape[3]),
            "obb": [short(value) for value in shape],
        }
    if task == "pose" and shape:
        return _keypoints(shape)
    return {}


def _keypoints(shape: Sequence[float]) -> dict[str, Any]:
    points = [(shape[at], shape[at + 1], shape[at + 2]) for at in range(0, len(shape), 3)]
    return {
        "keypoints": [
            value
            for x, y, confidence in points
            for value in (short(x), short(y), 2 if confidence >= VISIBLE_CONFIDENCE else 1)
        ],
        "num_keypoints": len(points),
        "keypoint_scores": [short(confidence) for _, _, confidence in points],
    }


def _corners(x: float, y: float, width: float, height: float, angle: float) -> list[float]:
    """x, y of the four corners, one after the other around the rotated box."""
    along = (width / 2 * math.cos(angle), width / 2 * math.sin(angle))
    across = (-height / 2 * math.sin(angle), height / 2 * math.cos(angle))
    turns = ((1, 1), (1, -1), (-1, -1), (-1, 1))
    return [centre + a * along[axis] + b * across[axis] for a, b in turns for axis, centre in enumerate((x, y))]


def _area(polygon: Sequence[float]) -> float:
    """Of a simple polygon, pixels squared; the shoelace formula."""
    xs, ys = polygon[0::2], polygon[1::2]
    return abs(sum(xs[at - 1] * ys[at] - xs[at] * ys[at - 1] for at in range(len(xs)))) / 2


def _single(value: float) -> float:
    """A value that was calculated, with the digits of a float32."""
    return float(f"{value:.7g}")
