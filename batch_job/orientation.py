"""How a stored picture is turned to stand upright."""

from dataclasses import dataclass
from typing import Self

import cv2

from batch_job.values import Image
from contract.videos import orientation

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


@dataclass(frozen=True, kw_only=True, slots=True)
class Orientation:
    rotation_degrees: int = 0  # clockwise: 0, 90, 180 or 270
    mirrored: bool = False  # flipped horizontally after the turn

    @classmethod
    def from_matrix(cls, matrix: bytes) -> Self:
        """The best fitting of the eight orientations, from 36 bytes in the machine's byte order."""
        degrees, mirrored = orientation(matrix)
        return cls(rotation_degrees=degrees, mirrored=mirrored)

    def upright(self, image: Image) -> Image:
        """Shape (height, width, 3) in, and the upright picture out; the same array if nothing is to be done."""
        if self.rotation_degrees:
            image = cv2.rotate(image, _TURNS[self.rotation_degrees])  # type: ignore[assignment]
        if self.mirrored:
            image = cv2.flip(image, 1)  # type: ignore[assignment]
        return image
