"""One contender of bench/analyser.py in a process of its own; prints its frames per second.

`python -m bench.contenders NAME CLIP MODEL_FOLDER`
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from types import ModuleType
from typing import Any

import numpy as np

# What happens once (loading, compiling, warming up) happens in the first frames.
_WARM_UP = 10


def frames_per_second(items: Iterator[Any]) -> float:
    for _ in range(_WARM_UP):
        next(items)
    began = time.perf_counter()
    count = sum(1 for _ in items)
    return count / (time.perf_counter() - began)


def predict(weights: Path, clip: Path) -> Iterator[Any]:
    stand_in_for_torchvision()
    from ultralytics import YOLO

    model = YOLO(weights, task="detect")
    yield from model.predict(str(clip), stream=True, imgsz=640, conf=0.25, iou=0.7, verbose=False)


def predict_in_f32(weights: Path, clip: Path) -> Iterator[Any]:
    """ultralytics leaves OpenVINO's precision to OpenVINO; here it is asked for the same as ours."""
    import openvino

    compile_model = openvino.Core.compile_model

    def in_f32(core: Any, model: Any, device_name: str, config: Any = None, **rest: Any) -> Any:
        return compile_model(
            core, model, device_name, {**(config or {}), "INFERENCE_PRECISION_HINT": "f32"}, **rest
        )

    openvino.Core.compile_model = in_f32
    return predict(weights, clip)


def decode(clip: Path) -> Iterator[Any]:
    """The job's own decoder: one thread, upright BGR pictures."""
    from batch_job.video import Video
    from contract.options import AnalysisOptions

    with Video(clip) as video:
        yield from video.frames(AnalysisOptions())


def infer(export: Path, precision: str, frames: int = 240) -> Iterator[Any]:
    """The bare network on pictures that lie ready, with as many requests in flight as OpenVINO likes."""
    import openvino

    network = openvino.Core().read_model(next(export.glob("*.xml")))
    network.reshape([1, 3, 384, 640])
    config = {"PERFORMANCE_HINT": "THROUGHPUT"}
    if precision == "f32":
        config["INFERENCE_PRECISION_HINT"] = "f32"
    queue = openvino.AsyncInferQueue(openvino.Core().compile_model(network, "CPU", config))
    picture = np.random.default_rng(1).random((1, 3, 384, 640), np.float32)
    for _ in range(frames):
        queue.start_async({0: picture})
        yield None
    queue.wait_all()


def infer_ncnn(layers: Path, frames: int = 240) -> Iterator[Any]:
    """The bare network on one picture that lies ready, a thread per core; nothing is done with what comes out."""
    from concurrent.futures import ThreadPoolExecutor

    import ncnn

    network = ncnn.Net()
    network.opt.num_threads = 1
    network.load_param(str(layers))
    network.load_model(str(layers.with_suffix(".bin")))
    cores = len(os.sched_getaffinity(0))
    pools = Queue[Any]()
    for _ in range(cores):
        pools.put((ncnn.PoolAllocator(), ncnn.PoolAllocator()))
    picture = ncnn.Mat(np.random.default_rng(1).random((3, 384, 640), np.float32))

    def run(_: int) -> None:
        blobs, workspace = pools.get()
        extractor = network.create_extractor()
        extractor.set_blob_allocator(blobs)
        extractor.set_workspace_allocator(workspace)
        extractor.input("in0", picture)
        for name in network.output_names():
            extractor.extract(name)
        pools.put((blobs, workspace))

    with ThreadPoolExecutor(cores) as executor:
        yield from executor.map(run, range(frames))


def stand_in_for_torchvision() -> None:
    """ultralytics' predict imports torchvision for its NMS; where that cannot be imported, its own NMS serves."""
    try:
        import torchvision  # noqa: F401
    except (ImportError, RuntimeError):
        from ultralytics.utils.nms import TorchNMS

        module = ModuleType("torchvision")
        module.ops = ModuleType("torchvision.ops")  # type: ignore[attr-defined]
        module.ops.nms = TorchNMS.nms  # type: ignore[attr-defined]
        module.__version__ = "0"  # type: ignore[attr-defined]
        sys.modules |= {"torchvision": module, "torchvision.ops": module.ops}  # type: ignore[attr-defined]


def main(name: str, clip: Path, root: Path) -> None:
    export = next(root.glob("*_openvino_model"))
    weights = next(root.glob("*.pt"))
    contenders: dict[str, Callable[[], Iterator[Any]]] = {
        "predict torch": lambda: predict(weights, clip),
        "predict openvino": lambda: predict(export, clip),
        "predict openvino f32": lambda: predict_in_f32(export, clip),
        "decode": lambda: decode(clip),
        "model ncnn f32": lambda: infer_ncnn(next(root.glob("*_ncnn/*.param"))),
        "model openvino f32": lambda: infer(export, "f32"),
        "model openvino native": lambda: infer(export, "native"),
    }
    print(frames_per_second(contenders[name]()))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
