"""The model lock, `models/models.lock.json`: which model files are known, by sha256. Nothing else may be loaded.

Paths of files are relative to the model's `source`, and to `name` below the models' folder of a machine image. A
source is a folder below the repository's root, or the start of an address: `https://...` or `s3://bucket/prefix`.
"""

import json
from collections.abc import Mapping
from typing import Any

from contract.manifest import ModelEntry, ModelFormat


def locked_models(text: str, roots: Mapping[str, str]) -> tuple[ModelEntry, ...]:
    """The lock's models as a runtime manifest gives them; `roots` maps each name to the folder of its files."""
    return tuple(_entry(model, roots[model["name"]]) for model in json.loads(text)["models"])


def sources(text: str) -> dict[str, str]:
    """From each model's name to its source."""
    return {model["name"]: model["source"] for model in json.loads(text)["models"]}


def is_address(source: str) -> bool:
    """Whether the files must be fetched; else they lie in the repository."""
    return source.startswith(("https://", "s3://"))


def _entry(model: Mapping[str, Any], root: str) -> ModelEntry:
    height, width = model["input_size"]
    return ModelEntry(
        name=model["name"],
        task=model["task"],
        classes=tuple(model["classes"]),
        input_size=(height, width),
        stride=model["stride"],
        root=root,
        formats={
            name: ModelFormat(entry=form["entry"], files=form["files"]) for name, form in model["formats"].items()
        },
        keypoint_shape=tuple(model.get("keypoint_shape", ())),
    )
