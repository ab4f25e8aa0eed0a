"""The runtime manifest, written of what is found installed and not of what was meant to be."""

import importlib
import importlib.util
import platform
from importlib.metadata import version
from pathlib import Path

from contract.manifest import RUNTIME_ABI, ModelEntry, RuntimeManifest
from packer.runtime.errors import BakeFailed

# From the engine's name to the modules that must be there for it. They are imported, not only looked for:
# a package whose shared libraries are missing is found and of no use.
ENGINES = {
    "ncnn": ("ncnn",),
    "openvino": ("openvino",),
    "onnx": ("onnxruntime",),
    "torch": ("torch", "ultralytics"),
    "tensorrt": ("tensorrt", "torch"),
}


def manifest_of(models: tuple[ModelEntry, ...], *, driver_floor: str | None) -> RuntimeManifest:
    """Raises BakeFailed where a model has no engine here, or none is installed."""
    engines = tuple(name for name, modules in ENGINES.items() if all(_works(module) for module in modules))
    for model in models:
        if not set(model.formats) & set(engines):
            raise BakeFailed(
                f"model {model.name} comes for {', '.join(model.formats)}; "
                f"installed is {', '.join(engines) or 'no engine'}"
            )
    return RuntimeManifest(
        abi=RUNTIME_ABI,
        python=platform.python_version(),
        torch=version("torch") if "torch" in engines else None,
        cuda=_cuda() if "torch" in engines else None,
        driver_floor=driver_floor,
        engines=engines,
        models=models,
    )


def write_manifest(manifest: RuntimeManifest, path: Path) -> None:
    path.write_text(manifest.to_json() + "\n", encoding="utf-8")


def _works(module: str) -> bool:
    if importlib.util.find_spec(module) is None:
        return False
    try:
        importlib.import_module(module)
    except ImportError as exc:
        raise BakeFailed(f"{module} is installed but cannot be imported: {exc}") from exc
    return True


def _cuda() -> str | None:
    found: str | None = importlib.import_module("torch").version.cuda
    return found
