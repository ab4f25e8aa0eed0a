"""Draws what the tasks store of a detection besides its box."""

import cv2
import numpy as np

from batch_job.obb import corners_of
from batch_job.values import Floats

_SHOWN_CONFIDENCE = 0.25  # of a key point; ultralytics.utils.plotting draws the same ones


def draw_shape(
    picture: cv2.typing.MatLike,
    task: str,
    shape: Floats,
    *,
    scale: float,
    colour: tuple[int, int, int],
    thick: int,
) -> None:
    """`shape` is as `contract.tables` tells, in pixels of a frame that is shown `scale` times as large."""
    match task:
        case "segment":
            _polygon(picture, shape.reshape(-1, 2) * scale, colour, thick)
        case "obb":
            _polygon(picture, corners_of(shape[None])[0] * scale, colour, thick)
        case "pose":
            for x, y, confidence in shape.reshape(-1, 3).tolist():
                if confidence >= _SHOWN_CONFIDENCE:
                    centre = round(x * scale), round(y * scale)
                    cv2.circle(picture, centre, 2 * thick, colour, cv2.FILLED, cv2.LINE_AA)


def _polygon(picture: cv2.typing.MatLike, points: Floats, colour: tuple[int, int, int], thick: int) -> None:
    corners = points.round().astype(np.int32)
    cv2.polylines(picture, [corners], isClosed=True, color=colour, thickness=thick, lineType=cv2.LINE_AA)
