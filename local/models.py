"""Adds a person's own weights to the runtime manifest.

Weights are code. Naming a file on the command line is its owner's word for it; its sha256 is written down here,
and the job loads it only while it still matches.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from contract.manifest import ModelEntry, ModelFormat
from local.errors import ModelUnusable
from local.runtime import REPOSITORY, locked_models

_EXPORTS = 2  # grows with what is exported, so that what an older version kept is not taken for all of it
_EXPORT_PROGRAM = """
import sys
from ultralytics import YOLO
YOLO(sys.argv[1]).export(format="openvino", dynamic=True)
"""


def add_model(path: Path, folder: Path) -> ModelEntry:
    """Entry for a `.pt` checkpoint, exported on first use, or for a folder `*_openvino_model`.

    A checkpoint becomes OpenVINO's format and, where it is a detector with anchors, ncnn's.

    The copy and its export stay in `folder` under the file's sha256. Raises ModelUnusable.
    """
    path = path.resolve()
    if path.suffix == ".pt" and path.is_file():
        return _entry(*_exported(path, folder))
    if path.is_dir() and (path / "metadata.yaml").is_file():
        return _entry(path.parent, path, None)
    raise ModelUnusable(
        f"{path} is neither a .pt checkpoint of ultralytics nor a folder that ultralytics exported to OpenVINO."
    )


def name_of(path: Path) -> str:
    """The model's name, from that of its checkpoint or of its export."""
    stem = path.name.removesuffix(".pt").removesuffix("_openvino_model")
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")


def _exported(path: Path, folder: Path) -> tuple[Path, Path, Path]:
    root = folder / f"{_sha256(path)}-{_EXPORTS}"
    weights = root / path.name
    export = root / f"{path.stem}_openvino_model"
    if not (export / "metadata.yaml").is_file():
        root.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, weights)
        _run("OpenVINO", weights, "-c", _EXPORT_PROGRAM, str(weights), folder=root)
        module = ("-m", "batch_job.ncnn_export")
        _run("ncnn", weights, *module, str(weights), str(_ncnn_folder(weights)), folder=REPOSITORY)
    return root, export, weights


def _run(target: str, weights: Path, *arguments: str, folder: Path) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = done.stderr.strip()[-2000:]
        raise ModelUnusable(f"{weights.name} could not be exported to {target}:\n{reason}")


def _ncnn_folder(weights: Path) -> Path:
    return weights.parent / f"{weights.stem}_ncnn"


def _entry(root: Path, export: Path, weights: Path | None) -> ModelEntry:
    metadata = _metadata(export / "metadata.yaml")
    network = next(export.glob("*.xml"), None)
    if network is None or not network.with_suffix(".bin").is_file():
        raise ModelUnusable(f"{export} holds no OpenVINO network (.xml and .bin).")
    formats = {"openvino": _format(root, network, network.with_suffix(".bin"))}
    if weights is not None:
        formats["torch"] = _format(root, weights)
        if layers := next(_ncnn_folder(weights).glob("*.param"), None):
            formats["ncnn"] = _format(root, layers, layers.with_suffix(".bin"))
    height, width = metadata["imgsz"]
    name = name_of(export)
    if name in {model.name for model in locked_models()}:
        raise ModelUnusable(f"{name} is the name of a model of ours; give your file another one.")
    return ModelEntry(
        name=name,
        task=metadata["task"],
        classes=tuple(metadata["names"][index] for index in sorted(metadata["names"])),
        input_size=(height, width),
        stride=metadata["stride"],
        root=str(root),
        formats=formats,
    )


def _format(root: Path, entry: Path, *others: Path) -> ModelFormat:
    return ModelFormat(
        entry=str(entry.relative_to(root)),
        files={str(path.relative_to(root)): _sha256(path) for path in (entry, *others)},
    )


def _metadata(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as exc:
        raise ModelUnusable(f"{path} is not YAML.") from exc
    missing = {"task", "names", "imgsz", "stride"} - set(document if isinstance(document, dict) else ())
    if missing:
        raise ModelUnusable(f"{path} lacks {', '.join(sorted(missing))}.")
    return dict(document)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_added(path: Path) -> list[str]:
    """Paths of the models that were added before, so that a restarted stack still offers them."""
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def remember_added(path: Path, model: Path) -> None:
    known = read_added(path)
    if str(model.resolve()) not in known:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([*known, str(model.resolve())]), encoding="utf-8")
