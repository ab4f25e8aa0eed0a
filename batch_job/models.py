"""From the runtime manifest to model files that may be opened."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batch_job.cuda_driver import compute_capability
from batch_job.errors import ModelUnknown, ModelUntrusted, OptionUnsuitable, RuntimeMismatch
from batch_job.settings import ENGINES
from contract.manifest import ManifestInvalid, ModelEntry, RuntimeManifest
from contract.manifest import RuntimeMismatch as AbiMismatch
from contract.options import AnalysisOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustedModel:
    """Every file's sha256 has been checked."""

    model: ModelEntry
    engine: str
    entry: Path  # what the engine opens
    wanted_classes: tuple[int, ...] | None  # ids to keep; None keeps all

    @property
    def digests(self) -> str:
        """The start of each file's sha256: other files, other numbers."""
        files = self.model.formats[self.engine].files
        return "-".join(files[name][:16] for name in sorted(files))


def read_manifest(path: Path) -> RuntimeManifest:
    """Raises RuntimeMismatch where this code cannot run on this machine image."""
    try:
        manifest = RuntimeManifest.from_json(path.read_text(encoding="utf-8"))
        manifest.require_abi()
    except OSError as exc:
        raise RuntimeMismatch(f"the runtime manifest {path} cannot be read: {exc.strerror}") from exc
    except (ManifestInvalid, AbiMismatch, UnicodeDecodeError) as exc:
        raise RuntimeMismatch(str(exc)) from exc
    return manifest


def trusted_model(
    manifest: RuntimeManifest,
    name: str,
    options: AnalysisOptions,
    *,
    engine: str | None = None,
    preference: Sequence[str] = ENGINES,
) -> TrustedModel:
    """The model's files for `engine`, or for the first of `preference` that machine and model both offer.

    A file that was built for another GPU than this machine's is passed over, and refused where its engine is asked
    for: the machines of a fleet may have several, and one image has engines for one of them.

    Raises ModelUnknown, OptionUnsuitable, RuntimeMismatch or ModelUntrusted.
    """
    model = manifest.model(name)
    if model is None:
        raise ModelUnknown(name)
    wanted = _class_ids(model, options.classes)
    offered = [each for each in ENGINES if each in manifest.engines and each in model.formats]
    strange: list[str] = []
    for chosen in (engine,) if engine else preference:
        if chosen not in offered:
            continue
        if reason := _of_another_gpu(model, chosen):
            strange.append(reason)
            continue
        return TrustedModel(model=model, engine=chosen, entry=_verified(model, chosen), wanted_classes=wanted)
    raise RuntimeMismatch(
        "; ".join(strange) or f"no engine for model {name}: asked for {engine or 'any'}, found {offered or 'none'}"
    )


def _of_another_gpu(model: ModelEntry, engine: str) -> str | None:
    """What is wrong with the engine's file where it was built for GPUs of another family than this machine's."""
    built_for = model.formats[engine].compute_capability
    if built_for is None or built_for == (here := compute_capability()):
        return None
    return (
        f"the {engine} engine of model {model.name} was built for GPUs of compute capability {built_for}, "
        f"and this machine has {here or 'none that its driver can use'}"
    )


def _class_ids(model: ModelEntry, names: Sequence[str] | None) -> tuple[int, ...] | None:
    if names is None:
        return None
    unknown = sorted(set(names) - set(model.classes))
    if unknown:
        known = ", ".join(model.classes)
        raise OptionUnsuitable(
            f"model {model.name} does not know the classes {', '.join(unknown)}; it knows {known}"
        )
    return tuple(index for index, name in enumerate(model.classes) if name in names)


def _verified(model: ModelEntry, engine: str) -> Path:
    """The path of the format's entry, once all its files are those the manifest names."""
    form = model.formats[engine]
    root = Path(model.root)
    if not root.is_dir():  # Docker mounts an empty folder where the machine has none
        raise ModelUntrusted(
            f"the folder {root} of model {model.name} is not there; the machine's models are not mounted"
        )
    weights = str(Path(form.entry).with_suffix(".bin"))
    if form.entry.endswith((".xml", ".param")) and weights not in form.files:
        raise ModelUntrusted(f"the weights beside {form.entry} of model {model.name} have no sha256")
    for name, digest in form.files.items():
        path = root / name
        if not path.resolve().is_relative_to(root.resolve()):
            raise ModelUntrusted(f"{name} lies outside the folder of model {model.name}")
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as exc:
            raise ModelUntrusted(f"{name} of model {model.name} cannot be read: {exc.strerror}") from exc
        if found != digest.lower():
            raise ModelUntrusted(f"{name} of model {model.name} has another sha256 than the manifest says")
    return root / form.entry
