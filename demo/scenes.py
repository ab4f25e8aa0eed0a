"""Scenes of moving shapes with known truth: seeded, lazy, the same in every run.

The truth is read off the pixels: the box of an object is the tightest one around those of its pixels that are
inside the frame and not covered by a nearer object.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass

import numpy as np

from demo.actors import CLASS_NAMES, SceneImpossible, plan_actors
from demo.drawing import Canvas, Image, Noise, draw_background

__all__ = [
    "CLASS_NAMES",
    "Scene",
    "SceneFrame",
    "SceneImpossible",
    "SceneRenderer",
    "TruthBox",
    "render_scene",
]

# Sub-streams of a scene's seed, so that a change to one does not reshuffle the others.
_ACTORS, _BACKGROUND, _NOISE, _FRAME = range(4)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """What to draw. Equal scenes give equal frames and equal truth.

    `objects` is how many are about at a time, `noise` the standard deviation of the pixel noise in grey
    levels. Without `crossings` every object keeps to a lane of its own and never comes near another.
    `largest_radius` is in pixels; without it, objects have the size that suits the frame.
    """

    seed: int
    width: int = 640
    height: int = 360
    frame_count: int = 300
    objects: int = 6
    crossings: bool = True
    noise: float = 4.0
    largest_radius: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TruthBox:
    """One object in one frame; edges in pixels of the upright frame, x2 and y2 exclusive.

    `visible_fraction` is the share of the whole shape that is inside the frame and not covered. An object
    that leaves never returns: whoever comes next is a new identity.
    """

    frame_index: int
    identity: int
    class_id: int
    class_name: str
    x1: float
    y1: float
    x2: float
    y2: float
    visible_fraction: float


@dataclass(frozen=True, kw_only=True, slots=True)
class SceneFrame:
    """One frame: the image (height, width, 3; uint8; BGR) and every object of which a pixel is visible."""

    index: int
    image: Image
    truth: tuple[TruthBox, ...]


def render_scene(scene: Scene) -> Iterator[SceneFrame]:
    """Draw the scene's frames one by one, in order; only one is held at a time."""
    renderer = SceneRenderer(scene)
    for index in range(scene.frame_count):
        yield renderer.frame(index)


class SceneRenderer:
    """Draws any frame of one scene, in any order."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._actors = plan_actors(
            self._stream(_ACTORS),
            width=scene.width,
            height=scene.height,
            frame_count=scene.frame_count,
            objects=scene.objects,
            crossings=scene.crossings,
            largest_radius=scene.largest_radius,
        )
        self._background = draw_background(self._stream(_BACKGROUND), width=scene.width, height=scene.height)
        self._noise = Noise(self._stream(_NOISE), width=scene.width, height=scene.height, deviation=scene.noise)

    def frame(self, index: int, *, without: Set[int] = frozenset()) -> SceneFrame:
        """Draw frame `index`, leaving out the identities in `without`."""
        if not 0 <= index < self.scene.frame_count:
            raise IndexError(f"frame {index} of a scene of {self.scene.frame_count}")
        present = [actor for actor in self._actors if actor.lives_at(index) and actor.identity not in without]
        canvas = Canvas(self._background)
        for actor in present:
            canvas.paint(actor, actor.pose(index))
        truth = []
        for actor in sorted(present, key=lambda actor: actor.identity):
            if (seen := canvas.visible(actor.identity)) is None:
                continue
            (x1, y1, x2, y2), fraction = seen
            truth.append(
                TruthBox(
                    frame_index=index,
                    identity=actor.identity,
                    class_id=actor.class_id,
                    class_name=CLASS_NAMES[actor.class_id],
                    x1=x1,
                    y1=y1,
                    x2=x2,
                    y2=y2,
                    visible_fraction=fraction,
                )
            )
        image = self._noise.add_to(canvas.image, self._stream(_FRAME, index))
        return SceneFrame(index=index, image=image, truth=tuple(truth))

    def _stream(self, *key: int) -> np.random.Generator:
        """The random numbers for one purpose of this scene."""
        return np.random.default_rng((self.scene.seed, *key))
