"""`Letterbox.place` for frames that lie in a GPU's memory; runs on any device of torch."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from batch_job.letterbox import GREY, Letterbox

_WEIGHT_BITS = 11


def place(image: Tensor, letterbox: Letterbox) -> Tensor:
    """From a frame (height, width, 3) of bytes to the canvas with the frame on it, both on the same device.

    Raises ValueError for another picture size.
    """
    if tuple(image.shape[:2]) != letterbox.frame:
        raise ValueError(f"this letterbox is for {letterbox.frame}, not {tuple(image.shape[:2])}")
    height, width = letterbox.resized
    canvas = torch.full((*letterbox.canvas, 3), GREY, dtype=torch.uint8, device=image.device)
    room = canvas[letterbox.top : letterbox.top + height, letterbox.left : letterbox.left + width]
    room.copy_(image if letterbox.resized == letterbox.frame else _resized(image, height, width))
    return canvas


def _resized(image: Tensor, height: int, width: int) -> Tensor:
    """OpenCV's INTER_LINEAR for bytes, with its fixed-point arithmetic (modules/imgproc/src/resize.cpp).

    It cuts off bits between the two directions, so exact interpolation would be brighter by an eighth of a level.
    """
    left, right, of_left, of_right = _samples(image.shape[1], width, image.device)
    wide = image[:, left].int() * of_left[:, None] + image[:, right].int() * of_right[:, None]
    wide >>= 4
    above, below, of_above, of_below = _samples(image.shape[0], height, image.device)
    upper = (wide[above] * of_above[:, None, None]) >> 16
    lower = (wide[below] * of_below[:, None, None]) >> 16
    return ((upper + lower + 2) >> 2).to(torch.uint8)


@lru_cache(maxsize=16)
def _samples(before: int, after: int, device: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each place along a side the two places it is made of, and their weights, in 2048ths."""
    position = (torch.arange(after, dtype=torch.float64) + 0.5) * (before / after) - 0.5
    position = position.clamp(0, before - 1)
    first = position.floor()
    share = (position - first).float()
    scale = 1 << _WEIGHT_BITS
    weights = ((1 - share) * scale).round().int(), (share * scale).round().int()
    places = first.long(), (first.long() + 1).clamp(max=before - 1)
    return tuple(tensor.to(device) for tensor in (*places, *weights))
