"""Which engine runs a model on this machine, and the networks that stay loaded between two analyses."""

import math
from collections import OrderedDict
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch_job.errors import OutOfMemory, RuntimeMismatch
from batch_job.models import TrustedModel
from batch_job.settings import ENGINES

if TYPE_CHECKING:
    from batch_job.detector import Detector
    from batch_job.letterbox import Shape

_LARGEST_BATCH = 16  # pictures; more have not been measured
_LOADED_AT_MOST = 2
_loaded: OrderedDict[Hashable, "Detector[Any]"] = OrderedDict()


@cache
def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Whether the container sees an NVIDIA GPU; without importing torch, which takes seconds."""
    return any(devices.glob("nvidia[0-9]*"))


def preference(*, gpu: bool, precision: str) -> tuple[str, ...]:
    """Engines in the order in which they are tried.

    A TensorRT engine file computes in the precision it was built with, half as a rule, so "f32" never chooses it.
    """
    if not gpu:
        return tuple(engine for engine in ENGINES if engine != "tensorrt")
    first = ("tensorrt", "torch", "onnx") if precision == "native" else ("torch", "onnx")
    return (*first, *(engine for engine in ENGINES if engine not in ("tensorrt", *first)))


def batch_size(*, chunk_frames: int, most: int = _LARGEST_BATCH) -> int:
    """The largest batch that begins anew at every chunk, where an analysis is resumed (decision 0007)."""
    return math.gcd(chunk_frames, most)


def detector_for(
    trusted: TrustedModel,
    *,
    frame: "Shape",
    image_size: int | None,
    precision: str,
    chunk_frames: int,
    scratch: Path,
) -> "Detector[Any]":
    """Loaded, or still loaded from an earlier analysis; it stays this module's to close.

    `frame` is the shape most frames will have. Raises RuntimeMismatch, ModelUntrusted, OptionUnsuitable or
    OutOfMemory.
    """
    files = frozenset(trusted.model.formats[trusted.engine].files.items())
    key = (files, trusted.engine, precision, image_size, frame, chunk_frames)
    if key not in _loaded:
        while len(_loaded) >= _LOADED_AT_MOST:
            _loaded.popitem(last=False)[1].close()
        try:
            if trusted.engine == "tensorrt" or (trusted.engine == "torch" and has_gpu()):
                _loaded[key] = _load_on_gpu(trusted, frame, image_size, precision, chunk_frames, scratch)
            else:
                _loaded[key] = _load(trusted, frame, image_size, precision, scratch)
        except ImportError as exc:
            raise RuntimeMismatch(f"{exc.name} cannot be imported") from exc
    _loaded.move_to_end(key)
    return _loaded[key]


def _load(
    trusted: TrustedModel, frame: "Shape", image_size: int | None, precision: str, scratch: Path
) -> "Detector[Any]":
    entry, model = trusted.entry, trusted.model
    if trusted.engine == "torch":
        from batch_job.torch_engine import TorchDetector

        return TorchDetector(entry, model, image_size=image_size, scratch_dir=scratch)
    if trusted.engine == "onnx":
        from batch_job.onnx_engine import OnnxDetector

        return OnnxDetector(entry, model, frame=frame, image_size=image_size, gpu=has_gpu())
    if trusted.engine == "ncnn":
        from batch_job.ncnn_engine import NcnnDetector

        return NcnnDetector(entry, model, image_size=image_size, precision=precision)
    from batch_job.openvino_engine import OpenVinoDetector

    return OpenVinoDetector(entry, model, frame=frame, image_size=image_size, precision=precision)


def _load_on_gpu(
    trusted: TrustedModel,
    frame: "Shape",
    image_size: int | None,
    precision: str,
    chunk_frames: int,
    scratch: Path,
) -> "Detector[Any]":
    if trusted.engine == "tensorrt" and precision == "f32":
        raise RuntimeMismatch("TensorRT computes in the precision its engine was built with; set PRECISION=native")
    import torch

    from batch_job.canvas import canvas_for
    from batch_job.gpu_engine import BatchDetector

    if not torch.cuda.is_available():
        raise RuntimeMismatch(f"{trusted.engine} finds no GPU that its CUDA and this machine's driver can use")
    entry, model, device = trusted.entry, trusted.model, torch.device("cuda")
    network: Any
    fixed, most = None, _LARGEST_BATCH
    try:
        if trusted.engine == "tensorrt":
            from batch_job.tensorrt_network import TensorRtNetwork

            network = TensorRtNetwork(entry, model, device=device)
            fixed, most = network.fixed, min(network.most, most)
        else:
            from batch_job.torch_network import TorchNetwork

            half = precision == "native"
            network = TorchNetwork(entry, model, device=device, half=half, scratch_dir=scratch)
    except torch.OutOfMemoryError as exc:
        raise OutOfMemory(f"model {model.name} does not fit on the GPU") from exc
    canvas = canvas_for(model, frame, fixed=fixed, image_size=image_size)
    batch = batch_size(chunk_frames=chunk_frames, most=most)
    return BatchDetector(network, model, canvas=canvas, image_size=image_size, batch=batch)
