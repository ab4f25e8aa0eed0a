"""How a stored picture must be turned to stand upright.

A display matrix maps stored coordinates to shown ones (ISO/IEC 14496-12, 8.3.2: nine 32-bit numbers in rows a b u,
c d v, x y w; x' = ax + cy, y' = bx + dy, x to the right and y down; FFmpeg's `libavutil/display.h` has the same
layout). Cameras write quarter turns and mirrorings; any other turn is rounded to the nearest quarter.
"""

import struct
from dataclasses import dataclass
from typing import Self

import cv2

from batch_job.values import Image

_TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_QUARTERS = {  # clockwise degrees -> a, b, c, d
    0: (1, 0, 0, 1),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Orientation:
    rotation_degrees: int = 0  # clockwise: 0, 90, 180 or 270
    mirrored: bool = False  # flipped horizontally after the turn

    @classmethod
    def from_matrix(cls, matrix: bytes) -> Self:
        """The best fitting of the eight orientations, from 36 bytes in the machine's byte order."""
        a, b, _, c, d, *_ = struct.unpack("=9i", matrix)
        fits = {
            # A horizontal flip after the turn negates what x' is made of: a and c.
            (degrees, mirrored): sign * (a * qa + c * qc) + b * qb + d * qd
            for degrees, (qa, qb, qc, qd) in _QUARTERS.items()
            for mirrored, sign in ((False, 1), (True, -1))
        }
        degrees, mirrored = max(fits, key=lambda orientation: fits[orientation])
        return cls(rotation_degrees=degrees, mirrored=mirrored)

    def upright(self, image: Image) -> Image:
        """Shape (height, width, 3) in, and the upright picture out; the same array if nothing is to be done."""
        if self.rotation_degrees:
            image = cv2.rotate(image, _TURNS[self.rotation_degrees])  # type: ignore[assignment]
        if self.mirrored:
            image = cv2.flip(image, 1)  # type: ignore[assignment]
        return image
