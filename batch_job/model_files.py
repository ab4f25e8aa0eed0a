"""Model files that a person names on a command line, described as the runtime manifest describes its own.

Weights are code, and naming a file is its owner's word for it: a `.pt` checkpoint is a pickle, which may run
anything when it is opened. The sha256 written down here only says that an engine opens the file that was meant.
"""

import ast
import hashlib
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from contract.manifest import TASKS, ModelEntry, ModelFormat

METADATA = "metadata.yaml"  # what ultralytics writes beside an export


class ModelUnusable(ValueError):
    """The files are not those of a model; the message is a sentence for the person who named them."""


def describe(path: Path) -> ModelEntry:
    """The model in a `.pt` checkpoint, an OpenVINO export (its folder or its `.xml`) or an `.onnx` export.

    Raises ModelUnusable.
    """
    path = path.resolve()
    if path.suffix == ".pt" and path.is_file():
        return _entry(path.parent, name_of(path), _of_checkpoint(path), torch=[path])
    if path.suffix == ".onnx" and path.is_file():
        return _entry(path.parent, name_of(path), _of_onnx(path), openvino=[path])
    if path.suffix == ".xml" and path.is_file():
        return describe_export(path.parent, network=path)
    if path.is_dir() and (path / METADATA).is_file():
        return describe_export(path)
    raise ModelUnusable(
        f"{path} is neither a .pt checkpoint of ultralytics nor what it exported to OpenVINO (a folder) or .onnx."
    )


def describe_export(
    folder: Path, *, network: Path | None = None, others: Mapping[str, Sequence[Path]] | None = None
) -> ModelEntry:
    """The model that ultralytics exported to OpenVINO; `others` are its files in other formats, beside `folder`.

    Raises ModelUnusable.
    """
    network = network or next(folder.glob("*.xml"), None)
    if network is None or not network.with_suffix(".bin").is_file():
        raise ModelUnusable(f"{folder} holds no OpenVINO network (.xml and .bin).")
    return _entry(
        folder.parent,
        name_of(folder),
        _of_yaml(folder / METADATA),
        openvino=[network, network.with_suffix(".bin")],
        **(others or {}),
    )


def name_of(path: Path) -> str:
    """The model's name, from that of its checkpoint or of its export."""
    stem = path.name.removesuffix(".pt").removesuffix(".onnx").removesuffix("_openvino_model")
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(root: Path, name: str, metadata: Mapping[str, Any], **formats: Sequence[Path]) -> ModelEntry:
    """`formats` gives the files of each engine's format, the one it opens first."""
    task = metadata.get("task")
    if task is not None and task not in TASKS:
        raise ModelUnusable(
            f"{name} is made for the task {task}; the tasks that can be done are {', '.join(TASKS)}."
        )
    try:
        names, size, stride = metadata["names"], metadata["imgsz"], int(metadata["stride"])
        height, width = (size, size) if isinstance(size, int) else map(int, size)
        if min(height, width, stride) < 1:
            raise ValueError("a size of nothing")
        return ModelEntry(
            name=name,
            task=metadata["task"],
            classes=tuple(str(names[index]) for index in sorted(names)),
            input_size=(height, width),
            stride=stride,
            root=str(root),
            formats={
                engine: ModelFormat(
                    entry=str(files[0].relative_to(root)),
                    files={str(file.relative_to(root)): sha256_of(file) for file in files},
                )
                for engine, files in formats.items()
            },
            keypoint_shape=tuple(metadata["kpt_shape"]) if task == "pose" else (),
        )
    except KeyError as exc:
        raise ModelUnusable(
            f"What ultralytics writes of a model is incomplete for {name}: it lacks {exc}."
        ) from exc
    except (TypeError, ValueError) as exc:
        raise ModelUnusable(
            f"What ultralytics writes of a model makes no sense for {name}: "
            "names are numbered, and imgsz and stride are whole numbers."
        ) from exc


def _of_yaml(path: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError as exc:
        raise ModelUnusable(f"Reading {path.name} takes PyYAML: pip install pyyaml.") from exc
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ModelUnusable(f"{path} cannot be read: {exc.strerror}.") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise ModelUnusable(f"{path} is not YAML.") from exc
    return document if isinstance(document, dict) else {}


def _of_onnx(path: Path) -> Mapping[str, Any]:
    """The properties that ultralytics writes into the file, each a Python literal or a word."""
    import openvino

    try:
        network = openvino.Core().read_model(path)
    except RuntimeError as exc:
        raise ModelUnusable(f"{path} is no ONNX network, or is damaged.") from exc
    found = {}
    for name in ("task", "names", "imgsz", "stride", "kpt_shape"):
        if network.has_rt_info(["framework", name]):
            text = network.get_rt_info(["framework", name]).astype(str)
            found[name] = text if name == "task" else ast.literal_eval(text)
    return found


def _of_checkpoint(path: Path) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        # ultralytics writes settings when it is imported, and would otherwise look for packages to install.
        os.environ.setdefault("YOLO_CONFIG_DIR", folder)
        os.environ.setdefault("YOLO_AUTOINSTALL", "false")
        os.environ.setdefault("YOLO_OFFLINE", "true")
        os.environ.setdefault("YOLO_VERBOSE", "false")
        try:
            from ultralytics.nn.tasks import load_checkpoint
        except ImportError as exc:
            raise ModelUnusable(
                "A .pt checkpoint takes torch and ultralytics, which `make .venv/.torch` installs."
            ) from exc
        try:
            network, _ = load_checkpoint(os.fspath(path), device="cpu")
            size = network.args.get("imgsz", 640)
            return {
                "task": network.task,
                "names": network.names,
                "imgsz": size,
                "stride": int(network.stride.max()),
                "kpt_shape": getattr(network.model[-1], "kpt_shape", ()),
            }
        except Exception as exc:  # a pickle can fail in any way
            reason = str(exc).removeprefix("ERROR ❌️").strip().partition("\n")[0]  # the rest is advice
            raise ModelUnusable(f"{path} cannot be opened as a checkpoint of ultralytics: {reason}") from exc
