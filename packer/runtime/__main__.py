"""`python -m packer.runtime`: furnish the running interpreter, place the models, write the manifest, check it all.

The last step of a bake runs `check` again, after the clean-up.
"""

import argparse
import sys
from pathlib import Path

from contract.manifest import ManifestInvalid, RuntimeManifest, RuntimeMismatch
from packer.runtime.errors import BakeFailed
from packer.runtime.packages import install
from packer.runtime.placing import check_models, place_models
from packer.runtime.promising import manifest_of, write_manifest

CHECKOUT = Path(__file__).resolve().parents[2]
MODELS = Path("/opt/models")
MANIFEST = Path("/opt/runtime/manifest.json")


def main() -> int:
    arguments = _parser().parse_args()
    try:
        if arguments.step == "packages":
            install(arguments.lock)
        elif arguments.step == "models":
            models = place_models(CHECKOUT, arguments.models, seen_at=MODELS)
            write_manifest(manifest_of(models, driver_floor=arguments.driver_floor), arguments.manifest)
        else:
            _check(arguments.manifest, arguments.models)
    except BakeFailed as exc:
        print(exc, file=sys.stderr)
        return 1
    return 0


def _check(path: Path, models: Path) -> None:
    try:
        manifest = RuntimeManifest.from_json(path.read_text(encoding="utf-8"))
        manifest.require_abi()
    except (OSError, ManifestInvalid, RuntimeMismatch) as exc:
        raise BakeFailed(f"{path}: {exc}") from exc
    check_models(manifest.models, models)
    again = manifest_of(manifest.models, driver_floor=manifest.driver_floor)
    if again != manifest:
        raise BakeFailed(f"{path} promises something else than what is installed")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="packer.runtime", description="Furnish a machine image.")
    steps = parser.add_subparsers(dest="step", required=True)
    packages = steps.add_parser("packages", help="install what a lock names into the running interpreter")
    packages.add_argument("--lock", type=Path, default=CHECKOUT / "packer" / "runtime.lock")
    models = steps.add_parser("models", help="place the models of the lock and write the manifest")
    models.add_argument("--driver-floor", help="lowest NVIDIA driver that the runtime works with")
    check = steps.add_parser("check", help="hold the manifest against what is installed")
    for step in (models, check):
        step.add_argument("--models", type=Path, default=MODELS)
        step.add_argument("--manifest", type=Path, default=MANIFEST)
    return parser


if __name__ == "__main__":
    sys.exit(main())
