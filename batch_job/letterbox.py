"""Fits a picture into the network's input without changing its proportions, and takes boxes back.

The arithmetic is that of ultralytics' LetterBox and scale_boxes (ultralytics/data/augment.py and utils/ops.py), to
the rounding of each border, so that the same picture gives the same boxes.
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np

from batch_job.values import Floats, Image

Shape = tuple[int, int]  # height, width in pixels
GREY = 114  # what YOLO models are trained to see beside the picture


@dataclass(frozen=True, kw_only=True, slots=True)
class Letterbox:
    frame: Shape
    canvas: Shape  # the network's input
    resized: Shape  # the picture on the canvas
    top: int
    left: int

    @classmethod
    def rectangle(cls, frame: Shape, *, image_size: int, stride: int) -> Self:
        """The longer side becomes `image_size`, the shorter is padded to the next multiple of `stride`.

        What ultralytics calls `auto` or `rect`: 640x360 at size 640 and stride 32 gives a canvas of 640x384.
        """
        resized = _scaled(frame, (image_size, image_size))
        height, width = (side + (image_size - side) % stride for side in resized)
        return cls._centred(frame, (height, width), resized)

    @classmethod
    def inside(cls, frame: Shape, canvas: Shape) -> Self:
        """As large as fits into a canvas of given shape."""
        return cls._centred(frame, canvas, _scaled(frame, canvas))

    @classmethod
    def onto(cls, frame: Shape, canvas: Shape, *, image_size: int, stride: int) -> Self:
        """As `rectangle` where that gives this canvas, and else `inside` it."""
        rectangle = cls.rectangle(frame, image_size=image_size, stride=stride)
        return rectangle if rectangle.canvas == canvas else cls.inside(frame, canvas)

    @classmethod
    def _centred(cls, frame: Shape, canvas: Shape, resized: Shape) -> Self:
        # The tenth makes the odd pixel of padding go to the bottom and to the right.
        top, left = (round((outer - inner) / 2 - 0.1) for outer, inner in zip(canvas, resized, strict=True))
        return cls(frame=frame, canvas=canvas, resized=resized, top=top, left=left)

    def place(self, image: Image) -> Image:
        """The canvas, (height, width, 3), with the picture on it. Raises ValueError for another picture size."""
        self.require(image)
        canvas = np.full((*self.canvas, 3), GREY, np.uint8)
        height, width = self.resized
        room = canvas[self.top : self.top + height, self.left : self.left + width]
        if self.resized == self.frame:
            room[...] = image
        else:
            cv2.resize(image, (width, height), dst=room, interpolation=cv2.INTER_LINEAR)
        return canvas

    def require(self, image: Image) -> None:
        """Raises ValueError for another picture size."""
        if image.shape[:2] != self.frame:
            raise ValueError(f"this letterbox is for {self.frame}, not {image.shape[:2]}")

    @property
    def corner(self) -> Floats:
        """x y of the picture's corner on the canvas."""
        return np.array([self.left, self.top], np.float32)

    @property
    def gain(self) -> Floats:
        """Pixels of the canvas for each pixel of the frame, to the right and down."""
        return np.array([self.resized[1] / self.frame[1], self.resized[0] / self.frame[0]], np.float32)

    def points_to_frame(self, points: Floats) -> Floats:
        """Points (..., 2) x y from pixels of the canvas to pixels of the frame, clipped to it."""
        return ((points - self.corner) / self.gain).clip(0, np.array(self.frame[::-1], np.float32))

    def to_frame(self, boxes: Floats) -> Floats:
        """Boxes (n, 4) x1 y1 x2 y2 from pixels of the canvas to pixels of the frame, clipped to it."""
        return self.points_to_frame(boxes.reshape(-1, 2, 2)).reshape(-1, 4)


def _scaled(frame: Shape, room: Shape) -> Shape:
    ratio = min(room[0] / frame[0], room[1] / frame[1])
    return max(round(frame[0] * ratio), 1), max(round(frame[1] * ratio), 1)
