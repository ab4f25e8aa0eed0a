"""Model files: brought to where jobs read them, and checked against the model lock on arrival."""

import hashlib
import shutil
import subprocess
import urllib.request
from pathlib import Path

from contract import model_lock
from contract.manifest import ModelEntry
from packer.runtime.errors import BakeFailed


def locked_models(checkout: Path, *, seen_at: Path) -> tuple[ModelEntry, ...]:
    """The models of the lock, which jobs will see at `seen_at`/name."""
    text = _lock(checkout)
    return model_lock.locked_models(text, {name: str(seen_at / name) for name in model_lock.sources(text)})


def place_models(checkout: Path, folder: Path, *, seen_at: Path) -> tuple[ModelEntry, ...]:
    """Brings every model of the lock to `folder`/name.

    Files that the lock does not name stay behind. Raises BakeFailed.
    """
    models = locked_models(checkout, seen_at=seen_at)
    sources = model_lock.sources(_lock(checkout))
    for model in models:
        source, target = sources[model.name], folder / model.name
        files = {name: digest for form in model.formats.values() for name, digest in form.files.items()}
        for name, digest in files.items():
            if not (target / name).resolve().is_relative_to(target.resolve()):
                raise BakeFailed(f"the model lock names {name}, which lies outside the model's folder")
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            _bring(f"{source if model_lock.is_address(source) else checkout / source}/{name}", target / name)
            check_file(target / name, digest)
    return models


def check_models(models: tuple[ModelEntry, ...], folder: Path) -> None:
    """Raises BakeFailed unless every file of the models lies below `folder` and has its sha256."""
    for model in models:
        for form in model.formats.values():
            for name, digest in form.files.items():
                check_file(folder / model.name / name, digest)


def _lock(checkout: Path) -> str:
    return (checkout / "models" / "models.lock.json").read_text(encoding="utf-8")


def _bring(source: str, target: Path) -> None:
    try:
        if source.startswith("s3://"):  # with the rights of the machine that bakes
            if shutil.which("aws") is None:
                raise BakeFailed(f"{source} cannot be fetched: AWS's command line, `aws`, is not installed")
            command = ["aws", "s3", "cp", "--only-show-errors", source, str(target)]
            subprocess.run(command, check=True, capture_output=True, text=True)
        elif model_lock.is_address(source):
            with urllib.request.urlopen(source, timeout=60) as answer, target.open("wb") as file:
                shutil.copyfileobj(answer, file)
        else:
            shutil.copyfile(source, target)
    except subprocess.CalledProcessError as exc:
        raise BakeFailed(f"{source} cannot be fetched: {exc.stderr.strip()}") from exc
    except OSError as exc:  # URLError is one
        raise BakeFailed(f"{source} cannot be copied: {exc.strerror or exc}") from exc


def check_file(path: Path, digest: str) -> None:
    """Raises BakeFailed unless the file has this sha256."""
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise BakeFailed(f"{path} cannot be read: {exc.strerror}") from exc
    if found != digest:
        raise BakeFailed(f"{path} has another sha256 than the model lock says")
