"""Our boxes are those of ultralytics' own `predict` on the same real frames."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from batch_job.candidates import Keep, candidates_in
from batch_job.detector import Detector
from batch_job.letterbox import Letterbox, Shape
from batch_job.ncnn_engine import NcnnDetector
from batch_job.nms import detections_from
from batch_job.openvino_engine import OpenVinoDetector
from batch_job.values import Detections, Frame
from batch_job.video import Video
from contract.manifest import ModelEntry
from contract.options import AnalysisOptions
from tests.batch_job.job import ROOT
from tests.batch_job.media import write_video
from tests.batch_job.models import model_entry

# On one worker, because what ultralytics finds is computed once for all of them.
pytestmark = [pytest.mark.torch, pytest.mark.integration, pytest.mark.xdist_group("agreement")]
torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from batch_job.canvas import canvas_for  # noqa: E402
from batch_job.gpu_engine import BatchDetector  # noqa: E402
from batch_job.onnx_engine import OnnxDetector  # noqa: E402
from batch_job.torch_engine import TorchDetector  # noqa: E402
from batch_job.torch_network import TorchNetwork  # noqa: E402

CONFIDENCE, IOU = 0.25, 0.7


# Pictures that ultralytics brings, and clips; and how many boxes there are to compare, at least.
SCENES = {"bus.jpg": 8, "zidane.jpg": 6, "bottle-detection.mp4": 30, "car-detection.mp4": 4, "nasa_13013.mp4": 8}


@pytest.fixture(scope="module")
def scenes(videos: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Frame]]:
    """As our decoder gives them: of a picture, from a lossless video of it; of a clip, twelve from all over it."""
    folder = tmp_path_factory.mktemp("scenes")
    return {
        name: still(name, folder) if name.endswith(".jpg") else spread(videos / name, frames=12) for name in SCENES
    }


def still(name: str, folder: Path) -> list[Frame]:
    from ultralytics.utils import ASSETS

    picture = cv2.imread(os.fspath(ASSETS / name))
    path = write_video(folder / f"{name}.mkv", [picture, picture], codec="ffv1", pix_fmt="bgr0")  # type: ignore[list-item]
    frames = spread(path, frames=2)
    assert all((frame.image == picture).all() for frame in frames)
    return frames


def spread(path: Path, *, frames: int) -> list[Frame]:
    with Video(path) as video:
        nth = (video.expected_frames(AnalysisOptions()) or frames) // frames
        return list(islice(video.frames(AnalysisOptions(every_nth=nth)), frames))


@pytest.fixture(scope="module")
def torch_entry(checkpoint: Path) -> ModelEntry:
    from ultralytics.nn.tasks import load_checkpoint

    network, _ = load_checkpoint(str(checkpoint))
    names = tuple(network.names[index] for index in range(len(network.names)))
    return model_entry(checkpoint.parent, name="yolov8n", classes=names, size=(640, 640), entry=checkpoint.name)


@pytest.fixture(scope="module")
def exported(
    torch_entry: ModelEntry,
    checkpoint: Path,
    pytestconfig: pytest.Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], ModelEntry]:
    """Exported once per checkout, as the sizes of frames differ: with a free input shape."""
    cache = pytestconfig.cache
    assert cache is not None
    digest = torch_entry.formats["torch"].files[checkpoint.name]

    def entry_of(form: str) -> ModelEntry:
        root = cache.mkdir(f"{form}-{digest[:16]}") / "network"
        with FileLock(root.with_suffix(".lock")):  # the workers of one run want it at the same time
            if not root.exists():
                _export(checkpoint, form, root, tmp_path_factory.mktemp("export"))
        entry = {"openvino": "network.xml", "onnx": "network.onnx"}[form]
        return model_entry(root, name="yolov8n", classes=torch_entry.classes, size=(640, 640), entry=entry)

    return entry_of


@pytest.fixture(scope="module")
def ncnn_entry(torch_entry: ModelEntry, checkpoint: Path, ncnn_export: Path) -> ModelEntry:
    layers = f"{checkpoint.stem}.ncnn.param"
    return model_entry(ncnn_export, name="yolov8n", classes=torch_entry.classes, size=(640, 640), entry=layers)


def _export(checkpoint: Path, form: str, root: Path, scratch: Path) -> None:
    """In a process of its own, because tracing warns."""
    shutil.copy(checkpoint, scratch / "network.pt")
    command = f"from ultralytics import YOLO; YOLO('network.pt').export(format={form!r}, dynamic=True)"
    subprocess.run(
        [sys.executable, "-c", command], cwd=scratch, env=ultralytics_at(scratch), check=True, capture_output=True
    )
    part = root.with_name("part")
    if form == "openvino":
        shutil.copytree(scratch / "network_openvino_model", part, dirs_exist_ok=True)
    else:
        part.mkdir(exist_ok=True)
        shutil.copy(scratch / "network.onnx", part)
    part.rename(root)


@pytest.fixture(scope="module")
def predicted(
    checkpoint: Path, scenes: dict[str, list[Frame]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[NDArray[np.float32]]]:
    """What ultralytics finds in each frame: rows of x1 y1 x2 y2 confidence class.

    In a process of its own, because it changes settings and may need a stand-in for torchvision.
    """
    folder = tmp_path_factory.mktemp("predict")
    pictures = {f"{name} {frame.index}": frame.image for name, frames in scenes.items() for frame in frames}
    np.savez(folder / "pictures.npz", **pictures)  # type: ignore[arg-type]
    shutil.copy(checkpoint, folder / "network.pt")
    subprocess.run([sys.executable, "-c", PREDICT], cwd=folder, env=ultralytics_at(folder), check=True)
    with np.load(folder / "boxes.npz") as boxes:
        return {name: [boxes[f"{name} {frame.index}"] for frame in frames] for name, frames in scenes.items()}


PREDICT = f"""
import numpy
from bench.contenders import stand_in_for_torchvision
stand_in_for_torchvision()
from ultralytics import YOLO
model = YOLO("network.pt")
def boxes(picture):
    (result,) = model.predict(picture, imgsz=640, conf={CONFIDENCE}, iou={IOU}, device="cpu", verbose=False)
    return result.boxes.data.numpy()
numpy.savez("boxes.npz", **{{name: boxes(picture) for name, picture in numpy.load("pictures.npz").items()}})
"""


def ultralytics_at(folder: Path) -> dict[str, str]:
    """An environment in which it writes nowhere else and installs nothing."""
    return os.environ | {
        "PYTHONPATH": os.fspath(ROOT),
        "YOLO_CONFIG_DIR": os.fspath(folder),
        "YOLO_AUTOINSTALL": "false",
        "YOLO_OFFLINE": "true",
    }


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


GPU = [pytest.param(f"torch on a GPU, {kind}", marks=pytest.mark.gpu) for kind in ("f32", "half")]


@pytest.fixture(params=["torch", "torch in batches", "torch in half batches", "openvino", "onnx", "ncnn", *GPU])
def engine(
    request: pytest.FixtureRequest, checkpoint: Path, torch_entry: ModelEntry, tmp_path: Path
) -> Iterator[Callable[[Shape], Detector[Any]]]:
    """A detector for frames of one shape; in FP32 unless it says otherwise."""

    def one_by_one(_: Shape) -> Detector[Any]:
        return TorchDetector(checkpoint, torch_entry, image_size=None, scratch_dir=tmp_path)

    def batches(shape: Shape, *, gpu: bool, half: bool) -> Detector[Any]:
        device = request.getfixturevalue("gpu") if gpu else torch.device("cpu")
        network = TorchNetwork(checkpoint, torch_entry, device=device, half=half, scratch_dir=tmp_path)
        canvas = canvas_for(torch_entry, shape, fixed=None, image_size=None)
        return BatchDetector(network, torch_entry, canvas=canvas, image_size=None, batch=4)

    def openvino(shape: Shape) -> Detector[Any]:
        entry = request.getfixturevalue("exported")("openvino")
        network = Path(entry.root) / "network.xml"
        return OpenVinoDetector(network, entry, frame=shape, image_size=None, precision="f32")

    def onnx(shape: Shape) -> Detector[Any]:
        entry = request.getfixturevalue("exported")("onnx")
        return OnnxDetector(Path(entry.root) / "network.onnx", entry, frame=shape, image_size=None)

    def ncnn(_: Shape) -> Detector[Any]:
        entry = request.getfixturevalue("ncnn_entry")
        layers = Path(entry.root) / entry.formats["ncnn"].entry
        return NcnnDetector(layers, entry, image_size=None, precision="f32")

    with ExitStack() as detectors:
        makers: dict[str, Callable[[Shape], Detector[Any]]] = {
            "torch": one_by_one,
            "torch in batches": partial(batches, gpu=False, half=False),
            "torch in half batches": partial(batches, gpu=False, half=True),
            "torch on a GPU, f32": partial(batches, gpu=True, half=False),
            "torch on a GPU, half": partial(batches, gpu=True, half=True),
            "openvino": openvino,
            "onnx": onnx,
            "ncnn": ncnn,
        }
        make = makers[request.param]
        yield lambda shape: detectors.enter_context(closing(make(shape)))


@pytest.mark.parametrize("scene", SCENES)
def test_every_confident_box_is_ultralytics_box_and_the_other_way_round(
    engine: Callable[[Shape], Detector[Any]],
    scene: str,
    scenes: dict[str, list[Frame]],
    predicted: dict[str, list[NDArray[np.float32]]],
) -> None:
    """Of a confidence of at least 0.3: IoU at least 0.95, confidence within 0.02."""
    frames = scenes[scene]
    detector = engine((frames[0].image.shape[0], frames[0].image.shape[1]))
    compared = 0
    for found, theirs in zip(detections(detector, frames), predicted[scene], strict=True):
        ours = as_rows(found)
        compared += assert_all_found(theirs, ours)
        assert_all_found(ours, theirs)
    assert compared >= SCENES[scene]


@pytest.mark.parametrize("engine", ["torch", "onnx"], indirect=True)
@pytest.mark.parametrize("scene", SCENES)
def test_in_f32_nothing_but_rounding_is_different(
    engine: Callable[[Shape], Detector[Any]],
    scene: str,
    scenes: dict[str, list[Frame]],
    predicted: dict[str, list[NDArray[np.float32]]],
) -> None:
    """Every box to a thousandth of a pixel, every confidence to 1e-5, and none more or less.

    The batches' own letterbox may give single pixels another level, so they are held to the promise above alone.
    """
    frames = scenes[scene]
    detector = engine((frames[0].image.shape[0], frames[0].image.shape[1]))
    for found, theirs in zip(detections(detector, frames), predicted[scene], strict=True):
        np.testing.assert_allclose(found.boxes, theirs[:, :4], rtol=0, atol=1e-3)
        np.testing.assert_allclose(found.confidence, theirs[:, 4], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(found.class_id, theirs[:, 5])


@pytest.mark.parametrize("shape", [(360, 640), (480, 270), (1080, 1920), (100, 333), (337, 511)])
def test_the_canvas_is_ultralytics_canvas(shape: tuple[int, int], checkpoint: Path) -> None:
    """Byte for byte."""
    from ultralytics.data.augment import LetterBox

    image = np.random.default_rng(4).integers(0, 255, (*shape, 3), np.uint8)
    theirs = LetterBox((640, 640), auto=True, stride=32)(image=image)
    assert (Letterbox.rectangle(shape, image_size=640, stride=32).place(image) == theirs).all()


@pytest.mark.parametrize("seed", range(5))
def test_suppression_is_ultralytics_suppression(seed: int, checkpoint: Path) -> None:
    """On crowded random output, to the last box and in the same order."""
    import torch
    from ultralytics.utils.nms import non_max_suppression

    random = np.random.default_rng(seed)
    raw = np.concatenate(
        (100 + 400 * random.random((2, 2000)), 10 + 100 * random.random((2, 2000)), random.random((6, 2000)) ** 4)
    ).astype(np.float32)
    theirs = non_max_suppression(torch.from_numpy(raw[None].copy()), 0.3, 0.6)[0].numpy()
    candidates = candidates_in(raw, Keep(confidence=0.3))
    ours = detections_from(candidates, Letterbox.inside((640, 640), (640, 640)), iou=0.6)
    np.testing.assert_array_equal(as_rows(ours), theirs)
