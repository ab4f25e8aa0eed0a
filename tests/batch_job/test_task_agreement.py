"""Masks, key points, oriented boxes and classes are those of ultralytics' own predict, on the same real frames."""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from batch_job.candidates import Keep
from batch_job.classify import CentreCrop
from batch_job.detector import Detector
from batch_job.errors import ModelUntrusted
from batch_job.letterbox import Letterbox
from batch_job.model_files import describe
from batch_job.obb import corners_of
from batch_job.openvino_engine import OpenVinoDetector
from batch_job.tasks import detections_of
from batch_job.values import Detections, Frame
from batch_job.video import Video
from contract.manifest import ModelEntry
from contract.options import AnalysisOptions
from local.models import add_model
from tests.batch_job import task_networks
from tests.batch_job.task_networks import CONFIDENCE, CROPPED, IMAGE_SIZE, IOU, TASKS, noise

# On one worker, because what ultralytics finds is computed once for all of them.
pytestmark = [pytest.mark.torch, pytest.mark.integration, pytest.mark.xdist_group("task agreement")]
torch = pytest.importorskip("torch")

from batch_job.canvas import canvas_for  # noqa: E402
from batch_job.gpu_engine import BatchDetector  # noqa: E402
from batch_job.torch_engine import TorchDetector  # noqa: E402
from batch_job.torch_network import TorchNetwork  # noqa: E402

ENGINES = ("torch", "torch in batches", "openvino")
SHAPE = (360, 640)

Analyse = Callable[[str, str], list[Detections]]


@pytest.fixture(scope="module")
def frames(videos: Path) -> list[Frame]:
    """Six frames from all over the clip."""
    with Video(videos / "bottle-detection.mp4") as video:
        return list(islice(video.frames(AnalysisOptions(every_nth=148)), 6))


@pytest.fixture(scope="module")
def networks(checkpoint: Path, pytestconfig: pytest.Config) -> Path:
    """Built and exported once per checkout, which takes half a minute."""
    cache = pytestconfig.cache
    assert cache is not None
    made_of = checkpoint.read_bytes() + Path(task_networks.__file__).read_bytes()
    folder = cache.mkdir("task-networks") / hashlib.sha256(made_of).hexdigest()[:16]
    with FileLock(folder.with_suffix(".lock")):  # the workers of one run want it at the same time
        if not folder.exists():
            part = Path(tempfile.mkdtemp(dir=folder.parent))
            run_ultralytics("build", checkpoint, part, scratch=part)
            part.rename(folder)
    return folder


@pytest.fixture(scope="module")
def predictions(networks: Path, frames: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what ultralytics makes of the frames."""
    folder = tmp_path_factory.mktemp("predictions")
    for task in TASKS:
        (folder / f"{task}.pt").symlink_to(networks / f"{task}.pt")
    np.save(folder / "frames.npy", np.stack([frame.image for frame in frames]))
    run_ultralytics("predict", folder, folder / "frames.npy", scratch=folder)
    return folder


def predicted(predictions: Path, task: str, kind: str) -> list[NDArray[Any]]:
    """Arrays of one kind, one for each frame."""
    with np.load(predictions / f"{task}.predictions.npz") as found:
        return [found[name] for name in sorted(found) if name.startswith(f"{kind}-")]


def run_ultralytics(*arguments: str | Path, scratch: Path) -> None:
    environment = os.environ | {
        "YOLO_CONFIG_DIR": str(scratch),
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": "true",
    }
    command = [sys.executable, "-m", "tests.batch_job.task_networks", *map(str, arguments)]
    subprocess.run(command, env=environment, check=True, capture_output=True)


@pytest.fixture(scope="module")
def analyse(networks: Path, frames: list[Frame], tmp_path_factory: pytest.TempPathFactory) -> Analyse:
    """What ours finds in each frame, by task and engine."""

    def analyse(task: str, engine: str) -> list[Detections]:
        entry = add_model(networks / f"{task}_openvino_model", networks)
        detector = detector_of(entry, engine, networks / f"{task}.pt", tmp_path_factory.mktemp("scratch"))
        letterbox = detector.letterbox_for(SHAPE)
        pictures = ((frame.index, detector.prepare(frame.image, letterbox)) for frame in frames)
        found = detector.detect(pictures, Keep(confidence=CONFIDENCE))
        return [detections_of(task, candidates, letterbox, iou=IOU) for _, candidates in found]

    return analyse


def detector_of(entry: ModelEntry, engine: str, weights: Path, scratch: Path) -> Detector[Any]:
    if engine == "torch":
        return TorchDetector(weights, entry, image_size=None, scratch_dir=scratch)
    if engine == "torch in batches":
        network = TorchNetwork(weights, entry, device=torch.device("cpu"), half=False, scratch_dir=scratch)
        canvas = canvas_for(entry, SHAPE, fixed=None, image_size=None)
        return BatchDetector(network, entry, canvas=canvas, image_size=None, batch=4)
    path = Path(entry.root) / entry.formats["openvino"].entry
    return OpenVinoDetector(path, entry, frame=SHAPE, image_size=None, precision="f32")


def assert_same_boxes(ours: Detections, theirs: NDArray[Any]) -> None:
    """`theirs` has rows of x1 y1 x2 y2 confidence class."""
    np.testing.assert_array_equal(ours.class_id, theirs[:, 5])
    np.testing.assert_allclose(ours.confidence, theirs[:, 4], rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours.boxes, theirs[:, :4], rtol=0, atol=0.01)


@pytest.mark.parametrize("engine", ENGINES)
def test_masks_are_ultralytics_masks(engine: str, analyse: Analyse, predictions: Path) -> None:
    """Boxes within 0.01 pixels; outlines, filled, with an IoU of at least 0.99."""
    letterbox = Letterbox.rectangle(SHAPE, image_size=IMAGE_SIZE["segment"], stride=32)
    compared = 0
    expected = zip(
        predicted(predictions, "segment", "boxes"), predicted(predictions, "segment", "masks"), strict=True
    )
    for found, (boxes, masks) in zip(analyse("segment", engine), expected, strict=True):
        assert_same_boxes(found, boxes)
        for outline, mask in zip(found.shapes, masks, strict=True):
            parts, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            largest = max(parts, key=cv2.contourArea).reshape(-1, 2).astype(np.float32)
            ours, theirs = filled(outline.reshape(-1, 2)), filled(letterbox.points_to_frame(largest))
            assert (ours & theirs).sum() >= 0.99 * (ours | theirs).sum() > 0
            compared += 1
    assert compared >= 10


def filled(points: NDArray[Any]) -> NDArray[np.bool_]:
    picture = np.zeros(SHAPE, np.uint8)
    cv2.fillPoly(picture, [points.round().astype(np.int32)], color=1)
    return picture.astype(np.bool_)


@pytest.mark.parametrize("engine", ENGINES)
def test_key_points_are_ultralytics_key_points(engine: str, analyse: Analyse, predictions: Path) -> None:
    """Within 0.01 pixels, and confidence within 0.0001."""
    compared = 0
    expected = zip(
        predicted(predictions, "pose", "boxes"), predicted(predictions, "pose", "keypoints"), strict=True
    )
    for found, (boxes, keypoints) in zip(analyse("pose", engine), expected, strict=True):
        assert_same_boxes(found, boxes)
        points = np.array(found.shapes).reshape(-1, 17, 3)
        np.testing.assert_allclose(points[..., :2], keypoints[..., :2], rtol=0, atol=0.01)
        np.testing.assert_allclose(points[..., 2], keypoints[..., 2], rtol=0, atol=1e-4)
        compared += len(found)
    assert compared >= 10


@pytest.mark.parametrize("engine", ENGINES)
def test_oriented_boxes_are_ultralytics_oriented_boxes(engine: str, analyse: Analyse, predictions: Path) -> None:
    """Corners within 0.01 pixels, the same angle and not one turned by half."""
    compared = 0
    expected = zip(predicted(predictions, "obb", "obb"), predicted(predictions, "obb", "corners"), strict=True)
    for found, (boxes, corners) in zip(analyse("obb", engine), expected, strict=True):
        np.testing.assert_array_equal(found.class_id, boxes[:, 6])
        np.testing.assert_allclose(found.confidence, boxes[:, 5], rtol=0, atol=1e-4)
        oriented = np.array(found.shapes)
        np.testing.assert_allclose(oriented[:, 4], boxes[:, 4], rtol=0, atol=1e-4)
        np.testing.assert_allclose(corners_of(oriented), corners, rtol=0, atol=0.01)
        compared += len(found)
    assert compared >= 20


@pytest.mark.parametrize("engine", ENGINES)
def test_probabilities_are_ultralytics_probabilities(engine: str, analyse: Analyse, predictions: Path) -> None:
    """The likeliest five above the threshold, within 0.0001."""
    for found, probabilities in zip(
        analyse("classify", engine), predicted(predictions, "classify", "probs"), strict=True
    ):
        likeliest = np.argsort(-probabilities)[:5]
        expected = likeliest[probabilities[likeliest] > CONFIDENCE]
        assert len(expected) >= 2
        np.testing.assert_array_equal(found.class_id, expected)
        np.testing.assert_allclose(found.confidence, probabilities[expected], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("task", "said"), [("segment", "detect"), ("pose", "obb"), ("classify", "detect")])
def test_a_checkpoint_for_another_task_is_not_the_approved_one(
    task: str, said: str, networks: Path, frames: list[Frame], tmp_path: Path
) -> None:
    """Its output would be read as what it is not."""
    entry = add_model(networks / f"{task}_openvino_model", networks)
    detector = detector_of(replace(entry, task=said), "torch", networks / f"{task}.pt", tmp_path)
    picture = detector.prepare(frames[0].image, detector.letterbox_for(SHAPE))
    with pytest.raises(ModelUntrusted, match=f"task {said}"):
        next(detector.detect(iter([(0, picture)]), Keep(confidence=CONFIDENCE)))


@pytest.mark.parametrize("task", TASKS)
def test_a_checkpoint_and_its_export_are_described_alike(task: str, networks: Path) -> None:
    """Whichever of them a person names on the command line."""
    checkpoint, export = describe(networks / f"{task}.pt"), describe(networks / f"{task}_openvino_model")
    assert (checkpoint.task, checkpoint.keypoint_shape) == (task, (17, 3) if task == "pose" else ())
    for name in ("classes", "task", "keypoint_shape", "input_size", "stride"):
        assert getattr(checkpoint, name) == getattr(export, name)


@pytest.mark.parametrize(("height", "width"), CROPPED)
def test_the_crop_is_ultralytics_crop(height: int, width: int, predictions: Path) -> None:
    """Byte for byte."""
    crop = CentreCrop.rectangle((height, width), image_size=IMAGE_SIZE["classify"], stride=1)
    expected = np.load(predictions / "crops.npz")[f"{height}x{width}"]
    np.testing.assert_array_equal(crop.place(noise(height, width)), expected)
