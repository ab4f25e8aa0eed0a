"""Plays the machine that jobs run on in containers: builds their image, and furnishes the folders they mount."""

import argparse
import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from contract.manifest import ModelEntry, RuntimeManifest
from local import aws
from local.errors import StackError
from local.interpreter import copy_interpreter
from local.runtime import LOCK_PATH, REPOSITORY
from tools import images

_BAKED = "manifest.json"  # in the folder `opt`: the manifest without models of a person's own
_LOCK = REPOSITORY / "packer" / "runtime.lock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Containers:
    """How jobs run in the thin image. `base` takes the place of the base that its Dockerfile names."""

    engine: str
    base: str | None = None


def add_container_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--containers", action="store_true", help="run jobs in their thin image, by docker or podman"
    )
    parser.add_argument("--base", help="with --containers: another base of the image, such as a mirror of it")


def containers_of(arguments: argparse.Namespace) -> Containers | None:
    """Raises StackError."""
    if not arguments.containers:
        return None
    try:
        return Containers(engine=images.engine_at_hand(), base=arguments.base)
    except images.ImageNotBuilt as exc:
        raise StackError(str(exc)) from exc


def prepare(containers: Containers, folder: Path, say: Callable[[str], None]) -> None:
    """Builds the image, and furnishes `folder`/opt where that is not done. Raises StackError."""
    say(f"building the job's image with {containers.engine}")
    try:
        images.lay_out(images.JOB, images.JOB.context)
        images.build(
            images.JOB, containers.engine, aws.JOB_IMAGE, context=images.JOB.context, base=containers.base
        )
    except images.ImageNotBuilt as exc:
        raise StackError(str(exc)) from exc
    furnish(folder / "opt", say)
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    scratch.chmod(0o777)  # the job's user is none of this machine's


def write_host(containers: Containers, folder: Path, *, database_url: str, aws_url: str) -> Path:
    """What the Batch stand-in must know to run containers here."""
    # The embedded PostgreSQL listens on a Unix socket alone.
    socket = parse_qs(urlsplit(database_url).query)["host"][0]
    document = {
        "engine": containers.engine,
        "label": str(folder.resolve()),
        "folders": {
            "/opt/runtime": str((folder / "opt" / "runtime").resolve()),
            "/opt/models": str((folder / "opt" / "models").resolve()),
            "/var/lib/framebatch/scratch": str((folder / "scratch").resolve()),
        },
        "ports": [urlsplit(aws_url).port],
        "sockets": [str(path) for path in Path(socket).glob(".s.PGSQL.*") if not path.name.endswith(".lock")],
    }
    path = folder / "host.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def offer(folder: Path, own_models: Sequence[ModelEntry]) -> None:
    """Lays a person's own models beside those of the lock, and writes the manifest of all."""
    opt = folder / "opt"
    baked = RuntimeManifest.from_json((opt / _BAKED).read_text(encoding="utf-8"))
    offered = []
    for model in own_models:
        target = opt / "models" / model.name
        shutil.rmtree(target, ignore_errors=True)
        for name in {name for form in model.formats.values() for name in form.files}:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(model.root) / name, target / name)
        offered.append(dataclasses.replace(model, root=f"/opt/models/{model.name}"))
    manifest = dataclasses.replace(baked, models=(*baked.models, *offered))
    (opt / "runtime" / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")


def job_environment() -> Mapping[str, str]:
    """The copied interpreter finds its libraries through this; a machine image's relocatable one needs no help."""
    return {"LD_LIBRARY_PATH": "/opt/runtime/lib"}


def furnish(opt: Path, say: Callable[[str], None]) -> None:
    """The steps of a bake that need no machine of its own, with the Python that runs this. Raises StackError."""
    wanted = hashlib.sha256(_LOCK.read_bytes() + LOCK_PATH.read_bytes()).hexdigest()
    stamp = opt / "made-of.sha256"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    say("furnishing what a machine image carries (Python, packages, models)")
    shutil.rmtree(opt, ignore_errors=True)
    python = copy_interpreter(opt / "runtime")
    for step in (
        ("packages",),
        ("models", "--models", opt / "models"),
        ("manifest", "--models", opt / "models", "--manifest", opt / _BAKED),
    ):
        run_step(python, *map(str, step))
    for path in (opt, *opt.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    stamp.write_text(wanted)


def run_step(python: Path, *arguments: str, checkout: Path = REPOSITORY) -> None:
    """A step of a bake, by the interpreter that is furnished. Raises StackError."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [python, "-m", "packer.runtime", *arguments],
        cwd=checkout,
        env=environment | {"LD_LIBRARY_PATH": str(python.parents[1] / "lib")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StackError(f"The machine could not be furnished: {done.stderr.strip()[-2000:]}")
