"""Classification: what the whole frame shows, as rows like those of a detection.

The rules are those of `ultralytics.models.yolo.classify.predict` and of `classify_transforms` in
`ultralytics.data.augment`: the frame is scaled until it just covers the network's input and cut to its middle. The
scaling is Pillow's (bilinear over all pixels that shrink into one), because OpenCV's gives other pixels, and those
other probabilities.
"""

from typing import Self

import numpy as np
from PIL import Image as Pillow

from batch_job.candidates import Candidates, Keep
from batch_job.letterbox import Letterbox, Shape
from batch_job.values import Detections, Floats, Image

MOST_CLASSES = 5  # for each frame


class CentreCrop(Letterbox):
    """Its margins are negative: what of the scaled frame is beyond the canvas is cut off."""

    @classmethod
    def rectangle(cls, frame: Shape, *, image_size: int, stride: int) -> Self:
        """Classification networks see squares, whatever the frame and the stride."""
        return cls.inside(frame, (image_size, image_size))

    @classmethod
    def inside(cls, frame: Shape, canvas: Shape) -> Self:
        """A square shows the middle of the frame; any other canvas the whole frame in other proportions."""
        resized, short = canvas, min(frame)
        if canvas[0] == canvas[1]:
            resized = canvas[0] * frame[0] // short, canvas[1] * frame[1] // short
        top, left = (-round((inner - outer) / 2) for outer, inner in zip(canvas, resized, strict=True))
        return cls(frame=frame, canvas=canvas, resized=resized, top=top, left=left)

    def place(self, image: Image) -> Image:
        """The middle of the picture, (height, width, 3). Raises ValueError for another picture size."""
        self.require(image)
        height, width = self.resized
        scaled = Pillow.fromarray(image).resize((width, height), Pillow.Resampling.BILINEAR)
        left, top = -self.left, -self.top
        return np.array(scaled.crop((left, top, left + self.canvas[1], top + self.canvas[0])))


def classes_in(probabilities: Floats, keep: Keep) -> Candidates:
    """`probabilities` has shape (classes,). The best five of the wanted classes above the threshold, best first.

    Their boxes say nothing: a class is of the whole picture.
    """
    wanted = probabilities > np.float32(keep.confidence)
    if keep.classes is not None:
        wanted &= np.isin(np.arange(len(wanted)), keep.classes)
    best = np.argsort(-probabilities, kind="stable")
    class_id = best[wanted[best]][:MOST_CLASSES]
    return Candidates(
        boxes=np.zeros((len(class_id), 4), np.float32), confidence=probabilities[class_id], class_id=class_id
    )


def classes_from(candidates: Candidates, letterbox: Letterbox) -> Detections:
    """A row for each class; its box is the whole upright frame."""
    height, width = letterbox.frame
    return Detections(
        boxes=np.tile(np.array([0, 0, width, height], np.float32), (len(candidates.class_id), 1)),
        confidence=candidates.confidence,
        class_id=candidates.class_id.astype(np.int16),
    )
