"""Who moves where: the shapes of a scene and their paths, planned before anything is drawn.

Every path is a closed formula of the frame index, so any frame can be drawn without its predecessors.
"""

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil, hypot, sin, tau

import numpy as np

CLASS_NAMES: tuple[str, ...] = ("circle", "square", "triangle", "star")  # index = class id

# The largest radius unless a scene says otherwise, as a share of the frame's shorter side.
MAX_RADIUS = 0.12
# The smallest, as a share of the largest.
RADIUS_RANGE = 0.4
# Share of a lane's height that stays empty, half of it at each side.
LANE_GAP = 0.15
# Under this many pixels the corners that tell the classes apart are gone.
SMALLEST_RADIUS = 16.0


class SceneImpossible(ValueError):
    """The frame is too small for that many objects."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """A rectangle of the frame, in pixels."""

    x1: float
    y1: float
    x2: float
    y2: float

    def shrunk(self, by: float) -> "Area":
        """The same rectangle without a border of `by` pixels."""
        return Area(x1=self.x1 + by, y1=self.y1 + by, x2=self.x2 - by, y2=self.y2 - by)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """Place, size and rotation of a shape in one frame, in pixels and radians."""

    x: float
    y: float
    radius: float
    angle: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """One object from its first frame to its last, in pixels, frames and radians.

    `radius` is the largest it gets: its size swings between that and `radius * (1 - pulse)`. `ends` is the
    first frame without it. It bounces inside `bounds` (of its centre), or goes straight on when there are none.
    """

    identity: int
    class_id: int
    colour: tuple[int, int, int]  # blue, green, red
    begins: int
    ends: int
    x: float
    y: float
    step_x: float
    step_y: float
    bounds: Area | None
    radius: float
    pulse: float
    pulse_frames: float
    angle: float
    spin: float

    def lives_at(self, frame_index: int) -> bool:
        """Whether the object exists in that frame, seen or not."""
        return self.begins <= frame_index < self.ends

    def pose(self, frame_index: int) -> Pose:
        """Where the object is in a frame of its life."""
        age = frame_index - self.begins
        x, y = self.x + self.step_x * age, self.y + self.step_y * age
        if self.bounds is not None:
            x = _bounce(x, self.bounds.x1, self.bounds.x2)
            y = _bounce(y, self.bounds.y1, self.bounds.y2)
        swing = 0.5 + 0.5 * sin(tau * age / self.pulse_frames)
        radius = self.radius * (1 - self.pulse * swing)
        return Pose(x=x, y=y, radius=radius, angle=self.angle + self.spin * age)


def _bounce(value: float, low: float, high: float) -> float:
    """Fold a straight line into [low, high] as if it were reflected at both ends."""
    offset = (value - low) % (2 * (high - low))
    return low + min(offset, 2 * (high - low) - offset)


def plan_actors(
    rng: np.random.Generator,
    *,
    width: int,
    height: int,
    frame_count: int,
    objects: int,
    crossings: bool,
    largest_radius: float | None = None,
) -> tuple[Actor, ...]:
    """Cast a scene, farthest object first; identities count up in order of appearance.

    There are `objects` places. Every second one belongs to travellers that come, leave and are replaced, the
    others to objects that stay. With `crossings` all roam the whole frame and may cover each other; without,
    a place is a lane of its own and no two boxes ever come near each other.
    """
    actors: list[Actor] = []
    for place in range(objects):
        area = Area(x1=0, y1=0, x2=width, y2=height)
        largest = largest_radius or min(width, height) * MAX_RADIUS
        if not crossings:
            lane = height / objects
            margin = lane * LANE_GAP / 2
            area = replace(area, y1=place * lane + margin, y2=(place + 1) * lane - margin)
            # Less than half the lane, or an object could not move across it at all.
            largest = min(largest, 0.47 * (area.y2 - area.y1))
        if largest < SMALLEST_RADIUS:
            raise SceneImpossible(f"{objects} objects do not fit into {width}x{height} pixels")
        if place % 2:
            vertical = crossings and rng.random() < 0.4
            actors.extend(_travellers(rng, area, frame_count=frame_count, largest=largest, vertical=vertical))
        else:
            actors.append(_resident(rng, area, frame_count=frame_count, largest=largest))
    actors.sort(key=lambda actor: actor.begins)
    actors = [replace(actor, identity=identity) for identity, actor in enumerate(actors, start=1)]
    return tuple(actors[k] for k in rng.permutation(len(actors)))


def _resident(rng: np.random.Generator, area: Area, *, frame_count: int, largest: float) -> Actor:
    """An object that is there from first to last frame and bounces inside its area."""
    actor = _stranger(rng, largest=largest)
    bounds = area.shrunk(actor.radius)
    return replace(
        actor,
        ends=frame_count,
        x=rng.uniform(bounds.x1, bounds.x2),
        y=rng.uniform(bounds.y1, bounds.y2),
        step_x=rng.choice((-1, 1)) * rng.uniform(1.0, 4.0),
        # Slow across a lane: it should drift there, not tremble.
        step_y=rng.choice((-1, 1)) * rng.uniform(0.25, 1.0) * min(3.0, (bounds.y2 - bounds.y1) / 40),
        bounds=bounds,
    )


def _travellers(
    rng: np.random.Generator, area: Area, *, frame_count: int, largest: float, vertical: bool
) -> Iterator[Actor]:
    """Objects that cross the frame one after another, all in the same direction.

    One direction, so that in a lane a newcomer never appears where the last one has just left.
    """
    forwards = rng.random() < 0.5
    begins = 0
    while begins < frame_count:
        actor = _stranger(rng, largest=largest)
        radius = actor.radius
        inside = area.shrunk(radius)
        if vertical:
            start = (rng.uniform(inside.x1, inside.x2), area.y1 - radius)
            end = (rng.uniform(inside.x1, inside.x2), area.y2 + radius)
        else:
            start = (area.x1 - radius, rng.uniform(inside.y1, inside.y2))
            end = (area.x2 + radius, rng.uniform(inside.y1, inside.y2))
        if not forwards:
            start, end = end, start
        frames = ceil(hypot(end[0] - start[0], end[1] - start[1]) / rng.uniform(2.0, 5.0))
        if begins == 0:
            # The first one is already on its way.
            begins = -int(rng.integers(frames))
        yield replace(
            actor,
            begins=begins,
            ends=min(begins + frames, frame_count),
            x=start[0],
            y=start[1],
            step_x=(end[0] - start[0]) / frames,
            step_y=(end[1] - start[1]) / frames,
        )
        begins += frames + int(rng.integers(5, 30))


def _stranger(rng: np.random.Generator, *, largest: float) -> Actor:
    """The looks of an object, without a place or a life yet."""
    hue, saturation, value = rng.random(), rng.uniform(0.65, 1.0), rng.uniform(0.7, 1.0)
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value))
    smallest = max(largest * RADIUS_RANGE, SMALLEST_RADIUS)
    return Actor(
        identity=0,
        class_id=int(rng.integers(len(CLASS_NAMES))),
        colour=(blue, green, red),
        begins=0,
        ends=0,
        x=0.0,
        y=0.0,
        step_x=0.0,
        step_y=0.0,
        bounds=None,
        radius=rng.uniform(smallest, largest),
        pulse=rng.uniform(0.0, 0.12),
        pulse_frames=rng.uniform(60.0, 240.0),
        angle=rng.uniform(0.0, tau),
        spin=rng.uniform(-0.03, 0.03),
    )
