"""The seam at which a network is replaced: other weights, another engine, another licence."""

from collections.abc import Iterator
from typing import Protocol, TypeVar

from batch_job.letterbox import Letterbox, Shape
from batch_job.values import Floats, Image

Tag = TypeVar("Tag")


class Detector(Protocol):
    """A YOLOv8 detection network, ready to run."""

    @property
    def capacity(self) -> int:
        """How many pictures are worth keeping ready for it."""

    def letterbox_for(self, frame: Shape) -> Letterbox:
        """How frames of this shape are laid onto its input; the same frame shape always gives the same answer."""

    def detect(self, pictures: Iterator[tuple[Tag, Image]]) -> Iterator[tuple[Tag, Floats]]:
        """Runs the network over letterboxed pictures, (height, width, 3), BGR, values 0 to 255.

        Every picture gives exactly one result, in order, with its tag: shape (4 + classes, anchors), centre x,
        centre y, width and height in pixels of the picture, then the score of each class, 0 to 1. A picture's
        result does not depend on its neighbours. Several pictures may be taken before the first result is given. A
        result is valid until the next one is asked for: its memory is the engine's own.
        """

    def close(self) -> None:
        """Gives back threads and memory."""
