"""Our boxes are ultralytics' boxes: its own letterbox, network and suppression on the same real frames."""

import os
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from batch_job.candidates import Keep, candidates_in
from batch_job.detector import Detector
from batch_job.nms import detections_from
from batch_job.openvino_engine import OpenVinoDetector
from batch_job.torch_engine import TorchDetector
from batch_job.values import Detections, Frame
from batch_job.video import Video
from contract.manifest import ModelEntry
from contract.options import AnalysisOptions
from tests.batch_job.models import model_entry

pytestmark = [pytest.mark.torch, pytest.mark.integration]

CONFIDENCE, IOU = 0.25, 0.7


@pytest.fixture(scope="module")
def frames(videos: Path) -> list[Frame]:
    """Eight frames from all over the clip."""
    with Video(videos / "bottle-detection.mp4") as video:
        return list(islice(video.frames(AnalysisOptions(every_nth=148)), 8))


@pytest.fixture(scope="module")
def torch_entry(checkpoint: Path) -> ModelEntry:
    from ultralytics.nn.tasks import load_checkpoint

    network, _ = load_checkpoint(str(checkpoint))
    names = tuple(network.names[index] for index in range(len(network.names)))
    return model_entry(checkpoint.parent, name="yolov8n", classes=names, size=(640, 640), entry=checkpoint.name)


@pytest.fixture(scope="module")
def openvino_entry(
    torch_entry: ModelEntry,
    checkpoint: Path,
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> ModelEntry:
    """Exported once per checkout, as the sizes of frames differ: with a free input shape."""
    cache = pytestconfig.cache
    assert cache is not None
    digest = torch_entry.formats["torch"].files[checkpoint.name]
    root = cache.mkdir(f"openvino-{digest[:16]}") / "network"
    if not root.exists():
        _export(checkpoint, root, tmp_path_factory.mktemp("export"))
    return model_entry(root, name="yolov8n", classes=torch_entry.classes, size=(640, 640), entry="network.xml")


def _export(checkpoint: Path, root: Path, scratch: Path) -> None:
    """In a process of its own, because tracing warns."""
    shutil.copy(checkpoint, scratch / "network.pt")
    command = "from ultralytics import YOLO; YOLO('network.pt').export(format='openvino', dynamic=True)"
    environment = os.environ | {
        "YOLO_CONFIG_DIR": str(scratch),
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": "true",
    }
    subprocess.run([sys.executable, "-c", command], cwd=scratch, env=environment, check=True, capture_output=True)
    shutil.copytree(scratch / "network_openvino_model", root.with_name("part"), dirs_exist_ok=True)
    root.with_name("part").rename(root)


@pytest.fixture(scope="module")
def reference(checkpoint: Path, frames: list[Frame]) -> list[NDArray[np.float32]]:
    """What ultralytics finds in each frame: rows of x1 y1 x2 y2 confidence class."""
    import torch
    from ultralytics.data.augment import LetterBox
    from ultralytics.nn.tasks import load_checkpoint
    from ultralytics.utils.nms import non_max_suppression
    from ultralytics.utils.ops import scale_boxes

    network, _ = load_checkpoint(str(checkpoint), fuse=True)
    letterbox = LetterBox((640, 640), auto=True, stride=32)
    found = []
    for frame in frames:
        canvas = letterbox(image=frame.image)
        rgb = np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1))
        with torch.inference_mode():
            output = network(torch.from_numpy(rgb)[None].float() / 255)
            rows = non_max_suppression(output, CONFIDENCE, IOU)[0]
            rows[:, :4] = scale_boxes(canvas.shape[:2], rows[:, :4], frame.image.shape)
        found.append(rows.numpy())
    return found


def detections(detector: Detector[Any], frames: list[Frame]) -> list[Detections]:
    letterbox = detector.letterbox_for(frames[0].image.shape[:2])  # type: ignore[arg-type]
    pictures = ((frame.index, detector.prepare(frame.image, letterbox)) for frame in frames)
    keep = Keep(confidence=CONFIDENCE)
    return [detections_from(found, letterbox, iou=IOU) for _, found in detector.detect(pictures, keep)]


def as_rows(found: Detections) -> NDArray[np.float32]:
    return np.column_stack((found.boxes, found.confidence, found.class_id)).astype(np.float32)


def overlap(one: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    sides = np.minimum(one[2:4], others[:, 2:4]) - np.maximum(one[:2], others[:, :2])
    shared = sides.clip(min=0).prod(axis=1)
    areas = (one[2:4] - one[:2]).prod() + (others[:, 2:4] - others[:, :2]).prod(axis=1)
    result: NDArray[Any] = shared / (areas - shared)
    return result


def assert_all_found(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> int:
    confident = wanted[wanted[:, 4] >= 0.3]
    for row in confident:
        same = found[found[:, 5] == row[5]]
        alike = (overlap(row, same) >= 0.95) & (np.abs(same[:, 4] - row[4]) <= 0.02)
        assert alike.any(), row
    return len(confident)


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_every_confident_box_is_ultralytics_box_and_the_other_way_round(
    engine: str,
    checkpoint: Path,
    torch_entry: ModelEntry,
    frames: list[Frame],
    reference: list[NDArray[np.float32]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """IoU at least 0.95, confidence within 0.02."""
    detector: Detector[Any]
    if engine == "torch":
        detector = TorchDetector(checkpoint, torch_entry, image_size=None, scratch_dir=tmp_path)
    else:
        entry = request.getfixturevalue("openvino_entry")
        detector = OpenVinoDetector(
            Path(entry.root) / "network.xml", entry, frame=(360, 640), image_size=None, precision="f32"
        )
    found = [as_rows(each) for each in detections(detector, frames)]
    compared = 0
    for ours, theirs in zip(found, reference, strict=True):
        compared += assert_all_found(theirs, ours)
        compared += assert_all_found(ours, theirs)
    assert compared > 30


@pytest.mark.parametrize("shape", [(360, 640), (480, 270), (1080, 1920), (100, 333), (337, 511)])
def test_the_canvas_is_ultralytics_canvas(shape: tuple[int, int], checkpoint: Path) -> None:
    """Byte for byte."""
    from ultralytics.data.augment import LetterBox

    from batch_job.letterbox import Letterbox

    image = np.random.default_rng(4).integers(0, 255, (*shape, 3), np.uint8)
    theirs = LetterBox((640, 640), auto=True, stride=32)(image=image)
    assert (Letterbox.rectangle(shape, image_size=640, stride=32).place(image) == theirs).all()


@pytest.mark.parametrize("seed", range(5))
def test_suppression_is_ultralytics_suppression(seed: int, checkpoint: Path) -> None:
    """On crowded random output, to the last box and in the same order."""
    import torch
    from ultralytics.utils.nms import non_max_suppression

    from batch_job.letterbox import Letterbox

    random = np.random.default_rng(seed)
    raw = np.concatenate(
        (100 + 400 * random.random((2, 2000)), 10 + 100 * random.random((2, 2000)), random.random((6, 2000)) ** 4)
    ).astype(np.float32)
    theirs = non_max_suppression(torch.from_numpy(raw[None].copy()), 0.3, 0.6)[0].numpy()
    candidates = candidates_in(raw, Keep(confidence=0.3))
    ours = detections_from(candidates, Letterbox.inside((640, 640), (640, 640)), iou=0.6)
    np.testing.assert_array_equal(as_rows(ours), theirs)
