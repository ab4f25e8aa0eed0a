"""Training batches for the demo model, drawn as they are needed: no image is seen twice, none is stored."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo.detection import PAD_GREY
from demo.scenes import Scene, SceneFrame, SceneRenderer

# Small windows with objects of their full size: what is learnt per second is greatest, and a convolutional
# network does not mind the larger picture afterwards.
SIDE = 256
_FRAMES_PER_SCENE = 4
# Slightly less than evaluation asks for, so that the network is sure where it begins to count.
_MIN_VISIBLE = 0.25


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Images (n, 3, side, side), RGB uint8, and their m objects over all images.

    `image_index` and `class_id` have shape (m,), `boxes` (m, 4): centre and size as shares of the side.
    """

    images: NDArray[np.uint8]
    image_index: NDArray[np.int64]
    class_id: NDArray[np.int64]
    boxes: NDArray[np.float32]


def training_batches(*, seed: int, count: int, size: int, first_scene: int) -> Iterator[Batch]:
    """`count` batches of `size` images; scene seeds count up from `first_scene`."""
    rng = np.random.default_rng(seed)
    scene_seed = first_scene
    for _ in range(count):
        samples: list[tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]] = []
        while len(samples) < size:
            samples.extend(_samples(rng, scene_seed))
            scene_seed += 1
        del samples[size:]
        yield Batch(
            images=np.stack([image[:, :, ::-1].transpose(2, 0, 1) for image, _, _ in samples]),
            image_index=np.repeat(np.arange(size), [len(classes) for _, _, classes in samples]),
            class_id=np.concatenate([classes for _, _, classes in samples]),
            boxes=np.concatenate([boxes for _, boxes, _ in samples]),
        )


def _samples(
    rng: np.random.Generator, scene_seed: int
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.int64]]]:
    """A few frames of one scene: image, boxes and classes of each."""
    # Letterboxing shows the network grey bars, so some scenes are lower than the window.
    bars = int(rng.integers(0, 33)) if rng.random() < 0.4 else 0
    top = int(rng.integers(0, bars + 1))
    scene = Scene(
        seed=scene_seed,
        width=SIDE,
        height=SIDE - bars,
        objects=int(rng.integers(2, 8)),
        noise=rng.uniform(0, 6),
        largest_radius=rng.uniform(17, 48),
    )
    renderer = SceneRenderer(scene)
    for index in rng.choice(scene.frame_count, _FRAMES_PER_SCENE, replace=False):
        frame = renderer.frame(int(index))
        image = np.full((SIDE, SIDE, 3), PAD_GREY, np.uint8)
        image[top : top + scene.height] = _as_seen(rng, frame.image)
        yield image, *_labels(frame, top)


def _as_seen(rng: np.random.Generator, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image as cameras and codecs hand it on: other contrast, softer, with compression artefacts."""
    seen = image
    if rng.random() < 0.5:
        seen = np.asarray(cv2.convertScaleAbs(seen, alpha=rng.uniform(0.75, 1.2), beta=rng.uniform(-20, 20)))
    if rng.random() < 0.2:
        seen = np.asarray(cv2.GaussianBlur(seen, (0, 0), rng.uniform(0.3, 0.9)))
    if rng.random() < 0.5:
        _, packed = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))])
        seen = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return seen.astype(np.uint8, copy=False)


def _labels(frame: SceneFrame, top: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Boxes (k, 4) and classes (k,) of the objects worth learning."""
    objects = [box for box in frame.truth if box.visible_fraction >= _MIN_VISIBLE]
    edges = [(box.x1, box.y1 + top, box.x2, box.y2 + top) for box in objects]
    corners = np.array(edges, np.float32).reshape(-1, 4) / np.float32(SIDE)
    boxes = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
    return boxes, np.array([box.class_id for box in objects], np.int64)
