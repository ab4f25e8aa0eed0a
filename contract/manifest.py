"""The runtime manifest: what the machine image promises to the code in the thin container.

`/opt/runtime/manifest.json` is written when the image is baked. The job checks it before it touches a video; the
backend reads the same document to know which models and classes exist.
"""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

RUNTIME_ABI = 1  # raised when code needs something of the machine image that older images do not have
FORMATS = ("torch", "onnx", "openvino", "ncnn", "tensorrt")
TASKS = ("detect", "segment", "pose", "classify", "obb")
_PACKED = "zlib:"  # before a manifest that was packed for a place with little room
TRACKED_TASKS = ("detect", "segment", "pose", "obb")  # a class of the whole frame is no object to be followed


class ManifestInvalid(ValueError):
    """The runtime manifest is not one this code can read."""


class RuntimeMismatch(ValueError):
    """The machine image does not offer the ABI this code was built for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFormat:
    """`files` maps each path below the model's root to its sha256; `entry` is the one an engine opens."""

    entry: str
    files: Mapping[str, str]
    compute_capability: str | None = None  # of the GPUs it was built for, such as "8.9"; None opens on any machine


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelEntry:
    name: str
    task: str  # one of TASKS
    classes: tuple[str, ...]  # index = class id
    input_size: tuple[int, int]  # height, width in pixels the model was trained for
    stride: int  # input sides must be multiples of it
    root: str  # absolute folder of the model's files
    formats: Mapping[str, ModelFormat]
    keypoint_shape: tuple[int, ...] = ()  # of a pose network: number of key points, values of each (2 or 3)


@dataclass(frozen=True, kw_only=True, slots=True)
class RuntimeManifest:
    abi: int
    python: str
    torch: str | None
    cuda: str | None
    driver_floor: str | None  # lowest NVIDIA driver the runtime works with
    engines: tuple[str, ...]
    models: tuple[ModelEntry, ...]

    def require_abi(self, wanted: int = RUNTIME_ABI) -> None:
        if self.abi != wanted:
            raise RuntimeMismatch(f"this code needs runtime ABI {wanted}; the machine image offers {self.abi}")

    def model(self, name: str) -> ModelEntry | None:
        return next((model for model in self.models if model.name == name), None)

    def to_json(self) -> str:
        return json.dumps(
            {
                "abi": self.abi,
                "python": self.python,
                "torch": self.torch,
                "cuda": self.cuda,
                "driver_floor": self.driver_floor,
                "engines": list(self.engines),
                "models": [_model_document(model) for model in self.models],
            },
            indent=2,
        )

    def packed(self) -> str:
        """The same in the fewest characters, all of them ASCII; `from_json` reads it as well."""
        text = json.dumps(json.loads(self.to_json()), separators=(",", ":"))
        return _PACKED + base64.b64encode(zlib.compress(text.encode(), 9)).decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ManifestInvalid, naming every fault at once; unknown fields are ignored."""
        text = _unpacked(text)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise ManifestInvalid("the runtime manifest is not JSON") from exc
        if not isinstance(document, dict):
            raise ManifestInvalid("the runtime manifest is not a JSON object")
        faults = list(_faults(document))
        if faults:
            raise ManifestInvalid("the runtime manifest is faulty: " + "; ".join(faults))
        return cls(
            abi=document["abi"],
            python=document["python"],
            torch=document.get("torch"),
            cuda=document.get("cuda"),
            driver_floor=document.get("driver_floor"),
            engines=tuple(document["engines"]),
            models=tuple(_model(entry) for entry in document["models"]),
        )


def _unpacked(text: str) -> str:
    if not text.startswith(_PACKED):
        return text
    try:
        return zlib.decompress(base64.b64decode(text.removeprefix(_PACKED))).decode()
    except (ValueError, zlib.error) as exc:
        raise ManifestInvalid("the runtime manifest cannot be unpacked") from exc


def _model(entry: Mapping[str, Any]) -> ModelEntry:
    height, width = entry["input_size"]
    return ModelEntry(
        name=entry["name"],
        task=entry["task"],
        classes=tuple(entry["classes"]),
        input_size=(height, width),
        stride=entry["stride"],
        root=entry["root"],
        formats={
            name: ModelFormat(
                entry=form["entry"], files=dict(form["files"]), compute_capability=form.get("compute_capability")
            )
            for name, form in entry["formats"].items()
        },
        keypoint_shape=tuple(entry.get("keypoint_shape", ())),
    )


def _model_document(model: ModelEntry) -> dict[str, Any]:
    return {
        "name": model.name,
        "task": model.task,
        "classes": list(model.classes),
        "input_size": list(model.input_size),
        "stride": model.stride,
        "root": model.root,
        "formats": {name: _format_document(form) for name, form in model.formats.items()},
        "keypoint_shape": list(model.keypoint_shape),
    }


def _format_document(form: ModelFormat) -> dict[str, Any]:
    document: dict[str, Any] = {"entry": form.entry, "files": dict(form.files)}
    return document | ({"compute_capability": form.compute_capability} if form.compute_capability else {})


def _faults(document: Mapping[str, Any]) -> Iterator[str]:
    if not isinstance(document.get("abi"), int):
        yield "abi is not a number"
    if not isinstance(document.get("python"), str):
        yield "python is not a text"
    for name in ("torch", "cuda", "driver_floor"):
        if not isinstance(document.get(name), str | None):
            yield f"{name} is neither a text nor null"
    if not _texts(document.get("engines")):
        yield "engines is not a list of texts"
    models = document.get("models")
    if not isinstance(models, list):
        yield "models is not a list"
        return
    names: set[object] = set()
    for index, model in enumerate(models):
        if not isinstance(model, dict) or not isinstance(model.get("name"), str):
            yield f"models[{index}] has no name"
            continue
        if model["name"] in names:
            yield f"model {model['name']} stands twice"
        names.add(model["name"])
        yield from (f"model {model['name']}: {fault}" for fault in _model_faults(model))


def _model_faults(model: Mapping[str, Any]) -> Iterator[str]:
    if model.get("task") not in TASKS:
        yield f"task must be one of {', '.join(TASKS)}"
    if not _texts(model.get("classes")) or not model["classes"]:
        yield "classes is not a list of names"
    if not _is_keypoint_shape(model.get("keypoint_shape", []), wanted=model.get("task") == "pose"):
        yield "keypoint_shape is not [key points, 2 or 3] for the task pose, and nothing for the others"
    size = model.get("input_size")
    if not (
        isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size)
    ):
        yield "input_size is not [height, width]"
    if not (isinstance(model.get("stride"), int) and model["stride"] > 0):
        yield "stride is not a positive number"
    if not isinstance(model.get("root"), str):
        yield "root is not a path"
    formats = model.get("formats")
    if not isinstance(formats, dict) or not formats:
        yield "formats is empty"
        return
    for name, form in formats.items():
        if name not in FORMATS:
            yield f"format {name} is not one of {', '.join(FORMATS)}"
        elif not isinstance(form, dict) or not _hashes(form.get("files")) or not _has_entry(form):
            yield f"format {name} needs files with their sha256, and an entry among them"
        elif not isinstance(form.get("compute_capability"), str | None):
            yield f"format {name} has a compute_capability that is no text"


def _texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_keypoint_shape(value: object, *, wanted: bool) -> bool:
    if not wanted:
        return value == []
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(number, int) and number > 0 for number in value)
        and value[1] in (2, 3)
    )


def _has_entry(form: Mapping[str, Any]) -> bool:
    entry = form.get("entry")
    return isinstance(entry, str) and entry in form["files"]


def _hashes(value: object) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(isinstance(digest, str) and len(digest) == 64 for digest in value.values())
    )
