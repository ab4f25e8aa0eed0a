"""Model files: copied from a checkout to where jobs read them, and checked against the model lock on arrival."""

import hashlib
import shutil
from pathlib import Path

from contract import model_lock
from contract.manifest import ModelEntry
from packer.runtime.errors import BakeFailed


def place_models(checkout: Path, folder: Path, *, seen_at: Path) -> tuple[ModelEntry, ...]:
    """Copies every model of the lock to `folder`/name, which jobs will see at `seen_at`/name.

    Files that the lock does not name stay behind. Raises BakeFailed.
    """
    text = (checkout / "models" / "models.lock.json").read_text(encoding="utf-8")
    sources = model_lock.sources(text)
    models = model_lock.locked_models(text, {name: str(seen_at / name) for name in sources})
    for model in models:
        source, target = checkout / sources[model.name], folder / model.name
        files = {name: digest for form in model.formats.values() for name, digest in form.files.items()}
        for name, digest in files.items():
            _place(source, target, name, digest)
    return models


def check_models(models: tuple[ModelEntry, ...], folder: Path) -> None:
    """Raises BakeFailed unless every file of the models lies below `folder` and has its sha256."""
    for model in models:
        for form in model.formats.values():
            for name, digest in form.files.items():
                _check(folder / model.name / name, digest)


def _place(source: Path, target: Path, name: str, digest: str) -> None:
    if not (target / name).resolve().is_relative_to(target.resolve()):
        raise BakeFailed(f"the model lock names {name}, which lies outside the model's folder")
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copyfile(source / name, target / name)
    except OSError as exc:
        raise BakeFailed(f"{source / name} cannot be copied: {exc.strerror}") from exc
    _check(target / name, digest)


def _check(path: Path, digest: str) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise BakeFailed(f"{path} cannot be read: {exc.strerror}") from exc
    if found != digest:
        raise BakeFailed(f"{path} has another sha256 than the model lock says")
