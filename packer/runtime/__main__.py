"""`python -m packer.runtime`: furnish the running interpreter, place models, build engines, promise, try, check.

The last step of a bake is `check`, after the clean-up.
"""

import argparse
import sys
import sysconfig
from pathlib import Path

from contract.manifest import ManifestInvalid, RuntimeManifest, RuntimeMismatch
from packer.runtime.engines import (
    build_by_tensorrt,
    build_engines,
    compute_capability,
    drop_builders,
    has_tensorrt,
    with_engines,
)
from packer.runtime.errors import BakeFailed
from packer.runtime.packages import install
from packer.runtime.placing import check_models, locked_models, place_models
from packer.runtime.promising import manifest_of, write_manifest
from packer.runtime.trying import try_models

CHECKOUT = Path(__file__).resolve().parents[2]
MODELS = Path("/opt/models")  # as jobs see them
MANIFEST = Path("/opt/runtime/manifest.json")


def main() -> int:
    arguments = _parser().parse_args()
    try:
        arguments.run(arguments)
    except BakeFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _packages(arguments: argparse.Namespace) -> None:
    install(arguments.lock, index=arguments.index)


def _models(arguments: argparse.Namespace) -> None:
    place_models(CHECKOUT, arguments.models, seen_at=MODELS)


def _engines(arguments: argparse.Namespace) -> None:
    if not has_tensorrt():
        print("TensorRT is not installed: torch runs the models")
        return
    models = locked_models(CHECKOUT, seen_at=MODELS)
    family = compute_capability()
    built = build_engines(models, arguments.models, build_by_tensorrt, capability=family)
    print(f"built for GPUs of compute capability {family}:", *(built or ["nothing, since no model comes as ONNX"]))
    print(f"{drop_builders(Path(sysconfig.get_path('platlib'))) >> 20} MiB that only build engines are gone")


def _manifest(arguments: argparse.Namespace) -> None:
    models = with_engines(locked_models(CHECKOUT, seen_at=MODELS), arguments.models)
    check_models(models, arguments.models)
    write_manifest(manifest_of(models, driver_floor=arguments.driver_floor), arguments.manifest)


def _try(arguments: argparse.Namespace) -> None:
    for line in try_models(CHECKOUT, arguments.manifest.resolve(), arguments.clip.resolve()):
        print(line, flush=True)


def _check(arguments: argparse.Namespace) -> None:
    path = arguments.manifest
    try:
        manifest = RuntimeManifest.from_json(path.read_text(encoding="utf-8"))
        manifest.require_abi()
    except (OSError, ManifestInvalid, RuntimeMismatch) as exc:
        raise BakeFailed(f"{path}: {exc}") from exc
    check_models(manifest.models, arguments.models)
    again = manifest_of(manifest.models, driver_floor=manifest.driver_floor)
    if again != manifest:
        raise BakeFailed(f"{path} promises something else than what is installed")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="packer.runtime", description="Furnish a machine image.")
    steps = parser.add_subparsers(required=True)
    about = {
        _packages: "install what a lock names into the running interpreter",
        _models: "place the models of the lock",
        _engines: "build TensorRT engines of them on this machine's GPU",
        _manifest: "write the manifest of what is there",
        _try: "analyse a clip with every model in every engine",
        _check: "hold the manifest against what is there",
    }
    for run, help_text in about.items():
        step = steps.add_parser(run.__name__[1:], help=help_text)
        step.set_defaults(run=run)
        if run is _packages:
            step.add_argument("--lock", type=Path, default=CHECKOUT / "packer" / "runtime.lock")
            step.add_argument("--index", help="address of another index that has packages of the lock")
        if run in (_models, _engines, _manifest, _check):
            step.add_argument("--models", type=Path, default=MODELS)
        if run in (_manifest, _try, _check):
            step.add_argument("--manifest", type=Path, default=MANIFEST)
        if run is _manifest:
            step.add_argument("--driver-floor", help="lowest NVIDIA driver that the runtime works with")
        if run is _try:
            step.add_argument("--clip", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
