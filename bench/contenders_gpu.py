"""One contender of bench/analyser_gpu.py in a process of its own; prints its frames per second.

`python -m bench.contenders_gpu NAME CLIP MODEL_FOLDER`
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from batch_job.candidates import Keep
from batch_job.gpu_engine import BatchDetector
from batch_job.letterbox import Letterbox
from batch_job.nms import detections_from
from batch_job.tensorrt_network import TensorRtNetwork
from batch_job.torch_network import TorchNetwork
from batch_job.values import Detections, Frame
from batch_job.video import Video
from bench.contenders import frames_per_second
from contract.manifest import ModelEntry
from contract.options import AnalysisOptions

CANVAS = (384, 640)  # of a 16:9 clip
BATCH = 16


def predict(weights: Path, clip: Path, quantize: int | None) -> Iterator[Any]:
    from ultralytics import YOLO

    model = YOLO(weights, task="detect")
    yield from model.predict(
        str(clip), stream=True, imgsz=640, conf=0.25, iou=0.7, device=0, quantize=quantize, verbose=False
    )


def decode(clip: Path) -> Iterator[Any]:
    """The job's own decoder, on one core of the CPU."""
    with Video(clip) as video:
        yield from video.frames(AnalysisOptions())


def decode_on_gpu(clip: Path) -> Iterator[Any]:
    """The same with NVDEC, as DECODER=gpu has it: pictures come back to the CPU's memory."""
    with Video(clip, on_gpu=True) as video:
        yield from video.frames(AnalysisOptions())


def bare(network: Any, batches: int = 200) -> Iterator[Any]:
    """The network alone on pictures that lie ready; a step is one picture."""
    pixels = torch.rand((BATCH, 3, *CANVAS), device=network.device).to(network.dtype)
    with torch.inference_mode():
        for _ in range(batches):
            network(pixels)
            torch.cuda.current_stream().synchronize()
            yield from range(BATCH)


def half_against_f32(weights: Path, clip: Path, frames: int = 64) -> tuple[float, float]:
    """The largest difference in confidence and, in pixels, of a side, over the boxes that both find."""
    with Video(clip) as video:
        shown = list(islice(video.frames(AnalysisOptions(every_nth=15)), frames))
    found = [_found(torch_network(weights, half=half), weights, shown) for half in (True, False)]
    confidence, pixels, compared = 0.0, 0.0, 0
    for half, full in zip(*found, strict=True):
        for number in range(len(full)):
            same = np.flatnonzero(half.class_id == full.class_id[number])
            if not len(same) or full.confidence[number] < 0.3:
                continue
            away = np.abs(half.boxes[same] - full.boxes[number]).max(axis=1)
            nearest = same[away.argmin()]
            pixels = max(pixels, float(away.min()))
            confidence = max(confidence, abs(float(half.confidence[nearest] - full.confidence[number])))
            compared += 1
    if not compared:
        raise RuntimeError("nothing was found that could be compared")
    return confidence, pixels


def torch_network(weights: Path, *, half: bool) -> TorchNetwork:
    scratch = Path(tempfile.gettempdir())
    return TorchNetwork(weights, _model(weights), device=torch.device("cuda"), half=half, scratch_dir=scratch)


def _found(network: TorchNetwork, weights: Path, frames: list[Frame]) -> list[Detections]:
    detector = BatchDetector(network, _model(weights), canvas=CANVAS, image_size=640, batch=BATCH)
    height, width = frames[0].image.shape[:2]
    letterbox: Letterbox = detector.letterbox_for((height, width))
    pictures = ((frame.index, detector.prepare(frame.image, letterbox)) for frame in frames)
    return [
        detections_from(each, letterbox, iou=0.7) for _, each in detector.detect(pictures, Keep(confidence=0.25))
    ]


def _model(weights: Path) -> ModelEntry:
    """As much of the manifest's entry as the networks ask for; the weights are their own witness here."""
    from ultralytics.nn.tasks import load_checkpoint

    names = load_checkpoint(str(weights))[0].names
    return ModelEntry(
        name=weights.stem,
        task="detect",
        classes=tuple(names[index] for index in sorted(names)),
        input_size=(640, 640),
        stride=32,
        root=str(weights.parent),
        formats={},
    )


def main(name: str, clip: Path, root: Path) -> None:
    weights = next(root.glob("*.pt"))
    if name == "half against f32":
        print(*half_against_f32(weights, clip))
        return
    contenders: dict[str, Callable[[], Iterator[Any]]] = {
        "predict": lambda: predict(weights, clip, None),
        "predict half": lambda: predict(weights, clip, 16),
        "decode": lambda: decode(clip),
        "decode on the GPU": lambda: decode_on_gpu(clip),
        "model torch half": lambda: bare(torch_network(weights, half=True)),
        "model tensorrt": lambda: bare(
            TensorRtNetwork(weights.with_suffix(".engine"), _model(weights), device=torch.device("cuda"))
        ),
    }
    print(frames_per_second(contenders[name]()))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
