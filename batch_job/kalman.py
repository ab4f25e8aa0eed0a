"""Constant-velocity Kalman filters for many boxes at once.

State and noise are those of SORT's successors (Wojke et al. 2017, "Simple Online and Realtime Tracking with a Deep
Association Metric", section 2.1; used by ByteTrack): centre x, centre y, aspect ratio and height, each with its
velocity, noise in proportion to the height. With this model the 8x8 covariance never couples two of the four
coordinates, so each is a filter of its own with a 2x2 covariance, written out below. The numbers are the same, and
as no matrix product is involved, they are the same on every machine.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

_POSITION = 1 / 20  # standard deviation of a position, in heights
_VELOCITY = 1 / 160  # of a velocity, in heights per frame
_ASPECT, _HEIGHT = 2, 3


@dataclass(slots=True)
class BoxFilters:
    """n filters; each array has shape (n, 4): centre x, centre y, aspect ratio (width / height), height."""

    position: Doubles  # pixels, the aspect ratio without unit
    velocity: Doubles  # per frame
    variance: Doubles  # of the position
    covariance: Doubles  # of position and velocity
    velocity_variance: Doubles

    @classmethod
    def starting_at(cls, boxes: Doubles) -> Self:
        """One filter per box, at rest. Boxes (n, 4) x1 y1 x2 y2 in pixels, with positive width and height."""
        position = _measurement(boxes)
        height = position[:, _HEIGHT]
        return cls(
            position=position,
            velocity=np.zeros_like(position),
            variance=_squares(2 * _POSITION * height, aspect=1e-2),
            covariance=np.zeros_like(position),
            velocity_variance=_squares(10 * _VELOCITY * height, aspect=1e-5),
        )

    def __len__(self) -> int:
        return len(self.position)

    def boxes(self) -> Doubles:
        """(n, 4): x1 y1 x2 y2, pixels."""
        half_height = self.position[:, _HEIGHT] / 2
        half = np.stack((half_height * self.position[:, _ASPECT], half_height), axis=1)
        return np.concatenate((self.position[:, :2] - half, self.position[:, :2] + half), axis=1)

    def predict(self, which: NDArray[np.bool_], *, resting_height: NDArray[np.bool_]) -> None:
        """One frame on, for the filters in mask `which`. Those in `resting_height` keep their height.

        A box that is out of sight would otherwise go on growing or shrinking.
        """
        self.velocity[resting_height, _HEIGHT] = 0
        height = self.position[which, _HEIGHT]
        variance, covariance, drift = self.variance[which], self.covariance[which], self.velocity_variance[which]
        self.position[which] += self.velocity[which]
        self.variance[which] = variance + 2 * covariance + drift + _squares(_POSITION * height, aspect=1e-2)
        self.covariance[which] = covariance + drift
        self.velocity_variance[which] = drift + _squares(_VELOCITY * height, aspect=1e-5)

    def correct(self, which: NDArray[np.intp], boxes: Doubles) -> None:
        """Takes in one measured box for each of the filters with the indices `which`."""
        variance, covariance = self.variance[which], self.covariance[which]
        noise = _squares(_POSITION * self.position[which, _HEIGHT], aspect=1e-1)
        gain, velocity_gain = variance / (variance + noise), covariance / (variance + noise)
        surprise = _measurement(boxes) - self.position[which]
        self.position[which] += gain * surprise
        self.velocity[which] += velocity_gain * surprise
        self.velocity_variance[which] -= velocity_gain * covariance
        self.variance[which] = (1 - gain) * variance
        self.covariance[which] = (1 - gain) * covariance

    def kept(self, which: NDArray[np.bool_]) -> "BoxFilters":
        return BoxFilters(*(array[which] for array in self._arrays()))

    def joined(self, other: "BoxFilters") -> "BoxFilters":
        pairs = zip(self._arrays(), other._arrays(), strict=True)
        return BoxFilters(*(np.concatenate(pair) for pair in pairs))

    def _arrays(self) -> tuple[Doubles, ...]:
        return self.position, self.velocity, self.variance, self.covariance, self.velocity_variance


def _measurement(boxes: Doubles) -> Doubles:
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return np.stack(
        ((boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2, width / height, height), axis=1
    )


def _squares(deviation: Doubles, *, aspect: float) -> Doubles:
    squares = np.repeat((deviation * deviation)[:, None], 4, axis=1)
    squares[:, _ASPECT] = aspect * aspect
    return squares
