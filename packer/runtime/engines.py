"""TensorRT engines, built of locked checkpoints on the GPU of the machine that bakes.

An engine opens only on the GPU family and with the TensorRT that made it, so no lock can name its sha256 before;
what was built is written down beside the models, and the manifest repeats it.
"""

import dataclasses
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from contract.manifest import ModelEntry, ModelFormat
from packer.runtime.errors import BakeFailed
from packer.runtime.placing import check_file

_BUILT = "engines.json"  # in the models' folder
# In half precision, for the batches that jobs make (decision 0007).
_EXPORT = """
import sys
from ultralytics import YOLO
size = [int(sys.argv[2]), int(sys.argv[3])]
YOLO(sys.argv[1]).export(format="engine", quantize=16, batch=16, imgsz=size, device=0)
"""

Export = Callable[[Path, ModelEntry], None]
"""Writes the engine beside the checkpoint, with the suffix `.engine`."""


def has_tensorrt() -> bool:
    return importlib.util.find_spec("tensorrt") is not None


def export_by_ultralytics(weights: Path, model: ModelEntry) -> None:
    """Raises BakeFailed."""
    command = [sys.executable, "-c", _EXPORT, str(weights), *map(str, model.input_size)]
    done = subprocess.run(command, cwd=weights.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = "\n".join(done.stderr.strip().splitlines()[-20:])
        raise BakeFailed(f"no engine could be built of model {model.name}:\n{reason}")


def build_engines(models: tuple[ModelEntry, ...], folder: Path, export: Export) -> list[str]:
    """Builds an engine of every model that comes as a checkpoint, and gives their names. Raises BakeFailed."""
    built = {}
    for model in models:
        form = model.formats.get("torch")
        if form is None:
            continue
        for name, digest in form.files.items():  # what is opened now is a pickle
            check_file(folder / model.name / name, digest)
        engine = Path(form.entry).with_suffix(".engine")
        with tempfile.TemporaryDirectory() as aside:  # an export leaves more behind than what was asked for
            weights = Path(shutil.copy2(folder / model.name / form.entry, aside))
            export(weights, model)
            shutil.copyfile(weights.with_suffix(".engine"), folder / model.name / engine)
        digest = hashlib.sha256((folder / model.name / engine).read_bytes()).hexdigest()
        built[model.name] = {"entry": str(engine), "files": {str(engine): digest}}
    (folder / _BUILT).write_text(json.dumps(built), encoding="utf-8")
    return list(built)


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
