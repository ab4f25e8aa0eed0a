"""Adds a person's own weights to the runtime manifest.

Weights are code. Naming a file on the command line is its owner's word for it; its sha256 is written down here,
and the job loads it only while it still matches.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from batch_job import model_files
from contract.manifest import ModelEntry
from local.errors import ModelUnusable
from local.runtime import REPOSITORY, locked_models

_EXPORTS = 2  # grows with what is exported, so that what an older version kept is not taken for all of it
_EXPORT_PROGRAM = """
import sys
from ultralytics import YOLO
YOLO(sys.argv[1]).export(format="openvino", dynamic=True)
"""


def add_model(path: Path, folder: Path) -> ModelEntry:
    """Entry of a model that is not one of the lock, as `described` gives it. Raises ModelUnusable."""
    entry = described(path, folder)
    if entry.name in {model.name for model in locked_models()}:
        raise ModelUnusable(f"{entry.name} is the name of a model of ours; give your file another one.")
    return entry


def described(path: Path, folder: Path) -> ModelEntry:
    """Entry for a `.pt` checkpoint, exported on first use, or for a folder `*_openvino_model`.

    A checkpoint becomes OpenVINO's format and, where it is a detector with anchors, ncnn's.

    The copy and its export stay in `folder` under the file's sha256. Raises ModelUnusable.
    """
    path = path.resolve()
    try:
        if path.suffix == ".pt" and path.is_file():
            export, weights = _exported(path, folder)
            others = {"torch": [weights]}
            if layers := next(_ncnn_folder(weights).glob("*.param"), None):
                others["ncnn"] = [layers, layers.with_suffix(".bin")]
            return model_files.describe_export(export, others=others)
        return model_files.describe(path)
    except model_files.ModelUnusable as exc:
        raise ModelUnusable(str(exc)) from exc


def _exported(path: Path, folder: Path) -> tuple[Path, Path]:
    """The export and the checkpoint, side by side."""
    root = folder / f"{model_files.sha256_of(path)}-{_EXPORTS}"
    weights = root / path.name
    export = root / f"{path.stem}_openvino_model"
    if not (export / model_files.METADATA).is_file():
        root.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, weights)
        export_by("OpenVINO", weights, "-c", _EXPORT_PROGRAM, str(weights), folder=root)
        module = ("-m", "batch_job.ncnn_export")
        export_by("ncnn", weights, *module, str(weights), str(_ncnn_folder(weights)), folder=REPOSITORY)
    return export, weights


def export_by(target: str, weights: Path, *arguments: str, folder: Path) -> None:
    """Runs Python with `arguments` in `folder`. Raises ModelUnusable with what it complained of."""
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip()[-2000:]
        raise ModelUnusable(f"{weights.name} could not be exported to {target}:\n{reason}")


def _ncnn_folder(weights: Path) -> Path:
    return weights.parent / f"{weights.stem}_ncnn"


def read_added(path: Path) -> list[str]:
    """Paths of the models that were added before, so that a restarted stack still offers them."""
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def remember_added(path: Path, model: Path) -> None:
    known = read_added(path)
    if str(model.resolve()) not in known:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([*known, str(model.resolve())]), encoding="utf-8")
