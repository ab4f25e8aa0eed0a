"""The seam at which a network is replaced: other weights, another engine, another licence."""

from collections.abc import Iterator
from typing import Protocol, TypeVar

from batch_job.candidates import Candidates, Keep
from batch_job.letterbox import Letterbox, Shape
from batch_job.values import Image

Tag = TypeVar("Tag")
Prepared = TypeVar("Prepared")


class Detector(Protocol[Prepared]):
    """A YOLOv8 detection network, ready to run."""

    @property
    def capacity(self) -> int:
        """How many pictures are worth keeping ready for it."""

    def letterbox_for(self, frame: Shape) -> Letterbox:
        """How frames of this shape are laid onto its input; the same frame shape always gives the same answer."""

    def prepare(self, image: Image, letterbox: Letterbox) -> Prepared:
        """What the network reads, made from an upright frame; called in a thread of its own."""

    def detect(self, pictures: Iterator[tuple[Tag, Prepared]], keep: Keep) -> Iterator[tuple[Tag, Candidates]]:
        """Runs the network over prepared pictures.

        Every picture gives exactly one result, in order, with its tag, which does not depend on its neighbours.
        Several pictures may be taken before the first result is given.
        """

    def close(self) -> None:
        """Gives back threads and memory."""
