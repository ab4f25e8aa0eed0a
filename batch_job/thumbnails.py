"""Pictures of a finished analysis."""

from collections.abc import Sequence

import cv2
import numpy as np

from batch_job.shapes import draw_shape
from batch_job.values import FrameResult, Image

_LONGEST_SIDE = 1280  # pixels
_JPEG_QUALITY = 85
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_COLOURS = (  # BGR; Okabe and Ito 2008, told apart also by the colour-blind
    (0, 159, 230),
    (233, 180, 86),
    (115, 158, 0),
    (66, 228, 240),
    (178, 114, 0),
    (0, 94, 213),
    (167, 121, 204),
)


def evenly_spaced(frames: int, wanted: int) -> list[int]:
    """At most `wanted` different indices, each in the middle of an equal share of `frames` frames."""
    return sorted({(2 * number + 1) * frames // (2 * wanted) for number in range(wanted)}) if frames else []


def poster_frame(frames: int) -> int:
    """Index of the one that stands for `frames` frames: a tenth in, past the black that many videos begin with."""
    return frames // 10


def plain_jpeg(image: Image) -> bytes:
    """The frame as it is, at most 1280 pixels on a side."""
    return _jpeg(_at_most(_LONGEST_SIDE, image)[0])


def annotated_jpeg(image: Image, result: FrameResult, classes: Sequence[str], *, task: str) -> bytes:
    """The annotated frame, at most 1280 pixels on a side."""
    return _jpeg(annotated(image, result, classes, task=task, longest_side=_LONGEST_SIDE))


def annotated(image: Image, result: FrameResult, classes: Sequence[str], *, task: str, longest_side: int) -> Image:
    """A copy, scaled down where it is larger, with box or shape, class, confidence and track of each detection.

    Classes of the whole frame are listed in its corner.
    """
    picture, scale = _at_most(longest_side, image)
    # The most confident is drawn last, on top of the others.
    for number in reversed(range(len(result.detections))):
        _draw(picture, result, number, scale, classes, task)
    return picture


def _at_most(longest_side: int, image: Image) -> tuple[Image, float]:
    """A copy of which no side is longer, in pixels, and the scale it has."""
    height, width = image.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    if scale == 1.0:
        return image.copy(), scale
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False), scale


def _jpeg(picture: Image) -> bytes:
    encoded, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not encoded:
        raise ValueError(f"a picture of {picture.shape} cannot be encoded")
    return jpeg.tobytes()


def _draw(
    picture: cv2.typing.MatLike, result: FrameResult, number: int, scale: float, classes: Sequence[str], task: str
) -> None:
    detections = result.detections
    left, top, right, bottom = (round(float(edge) * scale) for edge in detections.boxes[number])
    class_id, track_id = int(detections.class_id[number]), int(result.track_id[number])
    colour = _COLOURS[(track_id or class_id) % len(_COLOURS)]
    label = f"{classes[class_id]} {detections.confidence[number]:.2f}" + (f" #{track_id}" if track_id else "")
    thick = max(1, round(max(picture.shape[:2]) / 500))
    size = thick * 0.4
    if task not in ("obb", "classify"):
        cv2.rectangle(picture, (left, top), (right, bottom), colour, thick, cv2.LINE_AA)
    if detections.shapes:
        draw_shape(picture, task, detections.shapes[number], scale=scale, colour=colour, thick=thick)
    (text_width, text_height), below = cv2.getTextSize(label, _FONT, size, thick)
    above = top - text_height - below >= 0
    base = top - below if above else top + text_height + below
    if task == "classify":
        base += number * (text_height + 2 * below)
    cv2.rectangle(
        picture, (left, base - text_height - below), (left + text_width, base + below), colour, cv2.FILLED
    )
    cv2.putText(picture, label, (left, base), _FONT, size, (0, 0, 0), thick, cv2.LINE_AA)
