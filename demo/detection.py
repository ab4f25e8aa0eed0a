"""A small detector over an exported YOLOv8 model, for measuring it apart from the product's own code.

Preprocessing and suppression follow ultralytics' `predict`: rectangular letterbox to a multiple of the
stride, RGB from 0 to 1, best class per box, suppression within a class.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openvino
from numpy.typing import NDArray

from demo.evaluation import Prediction, iou_matrix

LONG_SIDE = 640
STRIDE = 32
PAD_GREY = 114


@dataclass(frozen=True, kw_only=True, slots=True)
class Letterboxed:
    """Network input (1, 3, h, w) float32, and how to get back to image pixels."""

    tensor: NDArray[np.float32]
    scale: float
    left: int
    top: int


def letterbox(image: NDArray[np.uint8], *, long_side: int = LONG_SIDE, stride: int = STRIDE) -> Letterboxed:
    """Fit a BGR image (h, w, 3) into `long_side`, padded with grey to the next multiple of the stride."""
    height, width = image.shape[:2]
    scale = min(long_side / height, long_side / width)
    inner_width, inner_height = round(width * scale), round(height * scale)
    if (inner_width, inner_height) != (width, height):
        resized = cv2.resize(image, (inner_width, inner_height), interpolation=cv2.INTER_LINEAR)
        image = np.asarray(resized, np.uint8)
    spare_x, spare_y = (long_side - inner_width) % stride / 2, (long_side - inner_height) % stride / 2
    top, bottom = round(spare_y - 0.1), round(spare_y + 0.1)
    left, right = round(spare_x - 0.1), round(spare_x + 0.1)
    padded = np.pad(image, ((top, bottom), (left, right), (0, 0)), constant_values=PAD_GREY)
    tensor = np.ascontiguousarray(padded[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)
    return Letterboxed(tensor=tensor / np.float32(255), scale=scale, left=left, top=top)


def predictions_from(
    output: NDArray[np.float32],
    *,
    letterboxed: Letterboxed,
    frame_index: int,
    size: tuple[int, int],
    confidence: float,
    iou: float,
) -> list[Prediction]:
    """Decode one image's raw output (4 + classes, anchors), boxes as centre and size, most confident first.

    `size` is the image's (height, width), to which boxes are clipped.
    """
    scores = output[4:].max(axis=0)
    kept = np.flatnonzero(scores > confidence)
    kept = kept[np.argsort(-scores[kept], kind="stable")]
    classes = output[4:, kept].argmax(axis=0)
    centre, half = output[:2, kept].T, output[2:4, kept].T / 2
    offset = (letterboxed.left, letterboxed.top)
    corners = np.concatenate([centre - half - offset, centre + half - offset], axis=1) / letterboxed.scale
    boxes = np.clip(corners, 0, [size[1], size[0], size[1], size[0]])
    overlap = iou_matrix(corners, corners) > iou
    overlap &= classes[:, None] == classes[None, :]
    alive = np.ones(len(kept), bool)
    for index in range(len(kept)):
        if alive[index]:
            alive[index + 1 :] &= ~overlap[index, index + 1 :]
    return [
        Prediction(
            frame_index=frame_index,
            class_id=int(classes[index]),
            confidence=float(scores[kept[index]]),
            x1=float(boxes[index, 0]),
            y1=float(boxes[index, 1]),
            x2=float(boxes[index, 2]),
            y2=float(boxes[index, 3]),
        )
        for index in np.flatnonzero(alive)
    ]


class OpenVinoDetector:
    """An exported model on the CPU, one image at a time."""

    def __init__(self, model: Path) -> None:
        # Some CPUs would otherwise compute in bfloat16, and measure something else.
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        self._compiled = openvino.Core().compile_model(str(model), "CPU", settings)

    def raw(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's output (n, 4 + classes, anchors) for inputs (n, 3, h, w)."""
        return np.asarray(self._compiled([tensor])[0], np.float32)

    def detect(
        self, image: NDArray[np.uint8], *, frame_index: int = 0, confidence: float = 0.25, iou: float = 0.7
    ) -> list[Prediction]:
        """Objects in a BGR image (h, w, 3), boxes in its pixels, most confident first."""
        letterboxed = letterbox(image)
        return predictions_from(
            self.raw(letterboxed.tensor)[0],
            letterboxed=letterboxed,
            frame_index=frame_index,
            size=(image.shape[0], image.shape[1]),
            confidence=confidence,
            iou=iou,
        )
