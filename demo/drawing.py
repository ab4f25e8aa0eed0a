"""How a scene looks: shapes with smooth edges, textured backgrounds, pixel noise.

Images are (height, width, 3) uint8 BGR.
"""

from math import ceil, cos, pi, sin, tau

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.actors import CLASS_NAMES, Actor, Pose

Image = NDArray[np.uint8]
Mask = NDArray[np.uint8]

# cv2 draws with fixed-point coordinates of this many fractional bits.
_SHIFT = 4
# Width of an object's dark rim, as a share of its radius; without it, neighbours of one colour would merge.
_RIM = 0.16
_RIM_SHADE = 0.3
# In its middle every object carries a pale badge of its own form, so that half of one can still be told.
_BADGE = 0.48
_BADGE_TINT = 0.7
# The noise field exceeds the frame by this much, so that each frame can take a window of its own.
_NOISE_MARGIN = 64
# A pixel belongs to the topmost shape that covers at least half of it.
_HALF = 128
_WHITE = 255


class Canvas:
    """An image under work, and for each pixel which object is seen there."""

    def __init__(self, background: Image) -> None:
        self.image: Image = background.copy()
        self._height, self._width = background.shape[0], background.shape[1]
        self._owner = np.zeros((self._height, self._width), np.int32)
        self._painted: dict[int, tuple[slice, slice, int]] = {}

    def paint(self, actor: Actor, pose: Pose) -> None:
        """Draw one object over what is already there."""
        side = 2 * ceil(pose.radius) + 4
        left, top = round(pose.x) - side // 2, round(pose.y) - side // 2
        centre = (pose.x - left, pose.y - top)
        cover = _shape_mask(side, actor.class_id, centre, pose.radius, pose.angle)

        rows = slice(max(top, 0), min(top + side, self._height))
        columns = slice(max(left, 0), min(left + side, self._width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        clip = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
        core = _shape_mask(side, actor.class_id, centre, pose.radius * (1 - _RIM), pose.angle)
        badge = _shape_mask(side, actor.class_id, centre, pose.radius * _BADGE, pose.angle)
        colour = np.asarray(actor.colour, np.float32)
        paint = colour * (_RIM_SHADE + (1 - _RIM_SHADE) * _share(core[clip]))
        paint += (_WHITE - paint) * (_BADGE_TINT * _share(badge[clip]))
        seen = self.image[rows, columns]
        seen[:] = np.rint(seen + (paint - seen) * _share(cover[clip]))
        self._owner[rows, columns][cover[clip] >= _HALF] = actor.identity
        self._painted[actor.identity] = (rows, columns, int(np.count_nonzero(cover >= _HALF)))

    def visible(self, identity: int) -> tuple[tuple[int, int, int, int], float] | None:
        """Tightest box around the object's visible pixels, and the share of the object that they are."""
        if identity not in self._painted:
            return None
        rows, columns, whole = self._painted[identity]
        mine = self._owner[rows, columns] == identity
        ys, xs = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
        if not ys.size:
            return None
        box = (columns.start + xs[0], rows.start + ys[0], columns.start + xs[-1] + 1, rows.start + ys[-1] + 1)
        x1, y1, x2, y2 = (int(edge) for edge in box)
        return (x1, y1, x2, y2), int(np.count_nonzero(mine)) / whole


def _shape_mask(side: int, class_id: int, centre: tuple[float, float], radius: float, angle: float) -> Mask:
    """How much of each pixel the shape covers, 0 to 255, shape (side, side)."""
    cover = np.zeros((side, side), np.uint8)
    scale = 1 << _SHIFT
    name = CLASS_NAMES[class_id]
    # cv2 takes whole numbers for pixel centres, this module for pixel corners.
    x, y = centre[0] - 0.5, centre[1] - 0.5
    if name == "circle":
        whole = (round(x * scale), round(y * scale))
        cv2.circle(cover, whole, round(radius * scale), 255, cv2.FILLED, cv2.LINE_AA, _SHIFT)
        return cover
    corners = _corners(name) @ np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    points = np.rint((corners * radius + (x, y)) * scale).astype(np.int32)
    cv2.fillPoly(cover, [points], 255, cv2.LINE_AA, _SHIFT)
    return cover


def _share(mask: Mask) -> NDArray[np.float32]:
    """A mask (h, w) as shares from 0 to 1, shape (h, w, 1)."""
    return mask[..., None] * np.float32(1 / _WHITE)


def _corners(name: str) -> NDArray[np.float64]:
    """Corners of a polygon on the unit circle, shape (n, 2)."""
    count = {"square": 4, "triangle": 3, "star": 10}[name]
    angles = np.arange(count) * tau / count - pi / 2
    reach = np.where(np.arange(count) % 2 == 1, 0.45, 1.0) if name == "star" else np.ones(count)
    return np.stack([np.cos(angles) * reach, np.sin(angles) * reach], axis=1)


def draw_background(rng: np.random.Generator, *, width: int, height: int) -> Image:
    """A gradient between two dull colours with blotches and, at times, stripes."""
    angle = rng.uniform(0, tau)
    ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
    along = xs * np.float32(cos(angle)) + ys * np.float32(sin(angle))
    ramp = (along - along.min()) / (along.max() - along.min())
    first, second = _dull_colour(rng), _dull_colour(rng)
    image = first + (second - first) * ramp[..., None]
    coarse = rng.normal(0, rng.uniform(4, 14), (max(height // 24, 2), max(width // 24, 2), 3))
    image += cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.5:
        waves = np.sin(along * np.float32(tau / rng.uniform(12, 60))) * np.float32(rng.uniform(3, 12))
        image += waves[..., None]
    background: Image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return background


def _dull_colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """A background colour; objects are more saturated than any of these."""
    grey = rng.uniform(50, 200)
    return (grey + rng.uniform(-25, 25, 3)).astype(np.float32)


class Noise:
    """Pixel noise of a given standard deviation (grey levels), another for every frame."""

    def __init__(self, rng: np.random.Generator, *, width: int, height: int, deviation: float) -> None:
        shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN, 3)
        field = np.rint(rng.standard_normal(shape, np.float32) * np.float32(deviation))
        self._brighter: Image = np.clip(field, 0, 255).astype(np.uint8)
        self._darker: Image = np.clip(-field, 0, 255).astype(np.uint8)

    def add_to(self, image: Image, rng: np.random.Generator) -> Image:
        """The image with noise; `rng` chooses the window of the field."""
        top, left = rng.integers(_NOISE_MARGIN, size=2)
        window = np.s_[top : top + image.shape[0], left : left + image.shape[1]]
        # Saturating adds are several times faster than float noise per frame.
        noisy = cv2.subtract(cv2.add(image, self._brighter[window]), self._darker[window])
        return np.asarray(noisy, np.uint8)
