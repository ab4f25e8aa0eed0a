"""The model lock: which model files are known, by sha256. Nothing else may be loaded.

Paths of files are relative to the model's `source`, which is relative to the repository's root.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

VERSION = 1


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def format_entry(source: Path, *, entry: str, others: tuple[str, ...] = ()) -> dict[str, Any]:
    """How the lock describes one format of a model: its files with their digests, and the one to open."""
    return {"files": {name: sha256_of(source / name) for name in (entry, *others)}, "entry": entry}


def read_lock(path: Path) -> dict[str, Any]:
    """The lock's document; one without models when there is no file yet."""
    if not path.exists():
        return {"version": VERSION, "models": []}
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if document["version"] != VERSION:
        raise ValueError(f"{path.name} has version {document['version']}, this code knows {VERSION}")
    return document


def put_model(path: Path, model: Mapping[str, Any]) -> None:
    """Write one model's entry, in place of an earlier one of its name; the others stay."""
    document = read_lock(path)
    others = [other for other in document["models"] if other["name"] != model["name"]]
    document["models"] = sorted([*others, dict(model)], key=lambda entry: entry["name"])
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def faults(root: Path, document: Mapping[str, Any]) -> Iterator[str]:
    """What does not agree with the files below `root`, a sentence each."""
    for model in document["models"]:
        for name, format_ in model["formats"].items():
            if format_["entry"] not in format_["files"]:
                yield f"{model['name']}: the entry of {name} is not among its files"
            for file, digest in format_["files"].items():
                path = root / model["source"] / file
                if not path.is_file():
                    yield f"{model['name']}: {file} is missing"
                elif sha256_of(path) != digest:
                    yield f"{model['name']}: {file} differs from its sha256"
