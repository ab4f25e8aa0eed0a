"""Plays the machine image: writes the runtime manifest that a baked AMI carries under /opt/runtime."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from contract import model_lock
from contract.manifest import RUNTIME_ABI, ModelEntry, RuntimeManifest

REPOSITORY = Path(__file__).resolve().parent.parent
LOCK_PATH = REPOSITORY / "models" / "models.lock.json"


def write_manifest(path: Path, own_models: tuple[ModelEntry, ...]) -> RuntimeManifest:
    """Offers the models of the lock and a person's own; written in one step, since readers may be at work."""
    torch = _installed("torch")
    manifest = RuntimeManifest(
        abi=RUNTIME_ABI,
        python=platform.python_version(),
        torch=torch,
        cuda=None,
        driver_floor=None,
        engines=("ncnn", "openvino", "torch") if torch else ("ncnn", "openvino"),
        models=(*locked_models(), *own_models),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(manifest.to_json(), encoding="utf-8")
    draft.replace(path)
    return manifest


def locked_models() -> tuple[ModelEntry, ...]:
    """Those whose files lie in the repository; what must be fetched only a machine image has."""
    text = LOCK_PATH.read_text(encoding="utf-8")
    sources = model_lock.sources(text)
    entries = model_lock.locked_models(text, {name: str(REPOSITORY / source) for name, source in sources.items()})
    return tuple(entry for entry in entries if not model_lock.is_address(sources[entry.name]))


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
