"""Builds our container images: `python tools/images.py job|backend`, or `make image` and `make image-backend`.

The build context is laid out first, every file with the same time, mode and bytes wherever that is done, so that
equal input gives equal layers, and a push after a change of code moves the code's layer alone.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from contract.manifest import RUNTIME_ABI  # noqa: E402 - found through the line above
from tools.bases import BaseUnknown, base_of, require_pinned  # noqa: E402
from tools.lock import PLATFORMS, PYTHON, SHIPPED  # noqa: E402
from tools.sbom import SBOM, bill_of  # noqa: E402

ENGINES = ("docker", "podman")
_COLLECT = REPOSITORY / "docker" / "collect_static.py"
_EPOCH = 0  # modification time of every file in the images


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """`code` are the packages of ours in it; `services` those of AWS that it calls."""

    name: str
    dockerfile: Path
    lock: Path
    code: tuple[str, ...]
    services: tuple[str, ...]
    collects: bool = False  # static files, while the image is built

    @property
    def context(self) -> Path:
        return REPOSITORY / ".local" / "images" / self.name


JOB = Image(
    name="framebatch-analysis",
    dockerfile=REPOSITORY / "docker" / "batch_job.Dockerfile",
    lock=REPOSITORY / SHIPPED["batch"],
    code=("contract", "exports", "batch_job"),
    services=("s3", "sts"),  # sts where credentials come from a web identity
)
BACKEND = Image(
    name="framebatch-backend",
    dockerfile=REPOSITORY / "docker" / "backend.Dockerfile",
    lock=REPOSITORY / SHIPPED["backend-image"],
    code=("contract", "exports", "backend"),
    services=("s3", "sqs", "batch", "sts"),
    collects=True,
)
IMAGES = {"job": JOB, "backend": BACKEND}


class ImageNotBuilt(Exception):
    """The message is a sentence for the person who asked."""


def lay_out(image: Image, context: Path) -> None:
    """Fills `context` with `dependencies` and `code`. Dependencies are fetched when their lock has changed.

    Raises ImageNotBuilt.
    """
    context.mkdir(parents=True, exist_ok=True)
    ingredients = (image.lock, Path(__file__), Path(__file__).with_name("sbom.py"))
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in ingredients)).hexdigest()
    stamp = context / "dependencies.sha256"
    if not stamp.exists() or stamp.read_text() != wanted:
        stamp.unlink(missing_ok=True)
        _install_dependencies(image, context / "dependencies")
        stamp.write_text(wanted)
    code = context / "code"
    shutil.rmtree(code, ignore_errors=True)
    for package in image.code:
        shutil.copytree(REPOSITORY / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    _settle(code)
    if image.collects:
        shutil.copy(_COLLECT, context)


def engine_at_hand() -> str:
    """The first of docker and podman that works here. Raises ImageNotBuilt."""
    for engine in ENGINES:
        if (
            shutil.which(engine)
            and not subprocess.run([engine, "info"], capture_output=True, check=False).returncode
        ):
            return engine
    raise ImageNotBuilt("Neither docker nor podman works here; one of them builds and runs the image.")


def build(
    image: Image, engine: str, tag: str, *, context: Path, base: str | None = None, cached: bool = True
) -> None:
    """Raises ImageNotBuilt."""
    given = {"REVISION": revision(), "RUNTIME_ABI": str(RUNTIME_ABI)} | ({"BASE": base} if base else {})
    # What machines and Fargate run, and what the dependencies are for, whatever builds it.
    command = [engine, "build", "--platform", "linux/amd64", "--file", str(image.dockerfile), "--tag", tag]
    command += [part for name, value in given.items() for part in ("--build-arg", f"{name}={value}")]
    # Each engine has its own way to keep the hour of the build out of the image.
    own = {"podman": ["--timestamp", str(_EPOCH), "--format", "docker"], "docker": ["--provenance=false"]}
    command += [*own[engine], *([] if cached else ["--no-cache"])]
    environment = os.environ | {"SOURCE_DATE_EPOCH": str(_EPOCH)}
    done = subprocess.run([*command, str(context)], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageNotBuilt(f"{engine} could not build the image: {done.stderr.strip()[-2000:]}")


def revision() -> str:
    """The commit the image is made of; `-changed` where files differ from it, `unknown` outside a checkout."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty=-changed", "--exclude=*"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def _install_dependencies(image: Image, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps"]
    pip += ["--require-hashes", "--requirement", str(image.lock), "--target", str(folder), "--no-compile"]
    pip += ["--only-binary", ":all:", "--python-version", PYTHON]
    pip += [part for platform in PLATFORMS for part in ("--platform", platform)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageNotBuilt(f"pip could not install {image.lock.name}: {done.stderr.strip()[-2000:]}")
    (folder / SBOM).write_text(bill_of(image.name, image.lock.read_text(encoding="utf-8")), encoding="utf-8")
    _prune(image, folder)
    _compile(folder)
    _settle(folder)


def _compile(folder: Path) -> None:
    """Byte code, because a container whose file system is read-only can never write its own.

    Our own code goes without: it would weigh twice as much in the layer that every commit moves.
    """
    if sys.version_info[:2] != tuple(map(int, PYTHON.split("."))):
        raise ImageNotBuilt(f"The image is built with Python {PYTHON}, for which the machine image has packages.")
    compiling = [sys.executable, "-m", "compileall", "-q", "-s", str(folder), "-p", "/opt/dependencies"]
    compiling += ["--invalidation-mode", "unchecked-hash", str(folder)]  # which names no time of any file
    # In a process of its own and with one seed, or what was imported before and the order of sets would show.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(compiling, env=environment | {"PYTHONHASHSEED": "0"}, capture_output=True, check=False)
    if done.returncode:
        raise ImageNotBuilt(f"Python could not compile what lies in {folder.name}.")


def _prune(image: Image, folder: Path) -> None:
    """Removes commands, and boto's descriptions of services that are never called."""
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for data in (folder / "botocore" / "data", folder / "boto3" / "data"):
        for service in data.iterdir():
            if service.is_dir() and service.name not in image.services:
                shutil.rmtree(service)
    for record in folder.glob("*.dist-info/RECORD"):  # names files that are gone
        record.unlink()


def _settle(folder: Path) -> None:
    """Gives every file one time and one mode."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (_EPOCH, _EPOCH))


def main() -> int:
    parser = argparse.ArgumentParser(description="Build a container image.")
    parser.add_argument("image", choices=IMAGES)
    parser.add_argument("--engine", choices=ENGINES, help="the first of them that works here, unless given")
    parser.add_argument("--tag", help="the image's own name, unless given")
    parser.add_argument("--base", help="another base image than the Dockerfile names, such as a mirror of it")
    parser.add_argument("--release", action="store_true", help="refuse a base that is not pinned by digest")
    arguments = parser.parse_args()
    image = IMAGES[arguments.image]
    tag = arguments.tag or image.name
    try:
        if arguments.release:
            require_pinned(arguments.base or base_of(image.dockerfile))
        engine = arguments.engine or engine_at_hand()
        lay_out(image, image.context)
        build(image, engine, tag, context=image.context, base=arguments.base)
    except (BaseUnknown, ImageNotBuilt) as exc:
        print(exc, file=sys.stderr)
        return 1
    print(f"built {tag} from {revision()} for runtime ABI {RUNTIME_ABI}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
