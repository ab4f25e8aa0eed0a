"""TensorRT engines, built of the lock's ONNX exports on the GPU of the machine that bakes.

An engine opens only on the GPU family and with the TensorRT that made it, so no lock can name its sha256 before;
what was built is written down beside the models, and the manifest repeats it.
"""

import dataclasses
import hashlib
import importlib
import importlib.util
import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contract.manifest import ModelEntry, ModelFormat
from packer.runtime.errors import BakeFailed
from packer.runtime.placing import check_file

_BUILT = "engines.json"  # in the models' folder, as is the next
_TIMINGS = "engines.timings"  # how long each way to compute a layer took on this GPU
_BATCH = 16  # pictures, of which jobs make batches (decision 0007)
# They build engines and run none. A job that imports TensorRT would open all of them.
_BUILDERS = "libnvinfer_builder_resource*"


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    engine: bytes
    timings: bytes


Build = Callable[[Path, ModelEntry, bytes], Built]
"""Of an ONNX export, its model, and the timings of earlier builds, which may be none."""


def has_tensorrt() -> bool:
    return importlib.util.find_spec("tensorrt") is not None


def compute_capability() -> str:
    """The family of this machine's GPU, such as "8.9". Raises BakeFailed."""
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        raise BakeFailed(f"nvidia-smi does not tell the GPU's compute capability: {exc}") from exc
    found = sorted(set(done.stdout.split()))
    if len(found) != 1:
        raise BakeFailed(
            f"engines are built for one GPU family, and this machine has {', '.join(found) or 'none'}"
        )
    return found[0]


def build_by_tensorrt(onnx: Path, model: ModelEntry, timings: bytes) -> Built:
    """In half precision, for one shape of input. Raises BakeFailed."""
    # By name: packer.runtime has no packages where it is checked.
    trt = importlib.import_module("tensorrt")
    logger = trt.Logger(trt.Logger.WARNING)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx)):
        faults = "; ".join(str(parser.get_error(number)) for number in range(parser.num_errors))
        raise BakeFailed(f"TensorRT cannot read the ONNX export of model {model.name}: {faults}")
    if network.num_inputs != 1:
        raise BakeFailed(f"the ONNX export of model {model.name} has {network.num_inputs} inputs, not one")
    pictures = network.get_input(0)
    pictures.shape = (_BATCH, pictures.shape[1], *model.input_size)
    config = builder.create_builder_config()
    config.set_flag(trt.BuilderFlag.FP16)
    if not config.set_timing_cache(config.create_timing_cache(timings), ignore_mismatch=False):
        raise BakeFailed("TensorRT does not take the timings of the models before")
    serialised = builder.build_serialized_network(network, config)
    if serialised is None:
        raise BakeFailed(f"TensorRT could build no engine of model {model.name}; what it said stands above")
    return Built(engine=bytes(serialised), timings=bytes(config.get_timing_cache().serialize()))


def build_engines(models: tuple[ModelEntry, ...], folder: Path, build: Build, *, capability: str) -> list[str]:
    """Builds an engine of every model that comes as ONNX, and gives their names. Raises BakeFailed."""
    timings = folder / _TIMINGS
    built = {}
    for model in models:
        form = model.formats.get("onnx")
        if form is None:
            continue
        for name, digest in form.files.items():
            check_file(folder / model.name / name, digest)
        made = build(folder / model.name / form.entry, model, timings.read_bytes() if timings.exists() else b"")
        timings.write_bytes(made.timings)
        content = _header(model) + made.engine
        engine = Path(form.entry).with_suffix(".engine")
        (folder / model.name / engine).write_bytes(content)
        files = {str(engine): hashlib.sha256(content).hexdigest()}
        built[model.name] = {"entry": str(engine), "files": files, "compute_capability": capability}
    (folder / _BUILT).write_text(json.dumps(built), encoding="utf-8")
    return list(built)


def _header(model: ModelEntry) -> bytes:
    """As ultralytics begins an engine file: the length of a JSON document, and the document."""
    about = {
        "task": model.task,
        "names": dict(enumerate(model.classes)),
        "stride": model.stride,
        "batch": _BATCH,
        "imgsz": model.input_size,
    }
    text = json.dumps(about).encode()
    return len(text).to_bytes(4, "little", signed=True) + text


def drop_builders(packages: Path) -> int:
    """Removes the libraries that only build engines, once all are built. Gives the bytes that are free again."""
    freed = 0
    for path in (packages / "tensorrt_libs").glob(_BUILDERS):
        freed += path.stat().st_size
        path.unlink()
    return freed


def with_engines(models: tuple[ModelEntry, ...], folder: Path) -> tuple[ModelEntry, ...]:
    """The models, each with the engine that was built of it."""
    path = folder / _BUILT
    built = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return tuple(
        dataclasses.replace(model, formats={**model.formats, "tensorrt": ModelFormat(**built[model.name])})
        if model.name in built
        else model
        for model in models
    )
