"""Builds the job's image: `python tools/batch_image.py [--engine podman|docker] [--tag NAME]`, or `make image`.

The build context is laid out first, every file with the same time, mode and bytes wherever that is done, so that
equal input gives equal layers, and a push after a change of code moves the code's layer alone.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from contract.manifest import RUNTIME_ABI  # noqa: E402 - found through the line above
from tools.lock import PLATFORMS, PYTHON, SHIPPED  # noqa: E402

CODE = ("contract", "exports", "batch_job")
AWS_SERVICES = ("s3", "sts")  # what the job calls; sts where credentials come from a web identity
DOCKERFILE = REPOSITORY / "docker" / "batch_job.Dockerfile"
TAG = "framebatch-analysis"
ENGINES = ("docker", "podman")
CONTEXT = REPOSITORY / ".local" / "image"
_EPOCH = 0  # modification time of every file in the image


class ImageNotBuilt(Exception):
    """The message is a sentence for the person who asked."""


def lay_out(context: Path) -> None:
    """Fills `context` with `dependencies` and `code`. Dependencies are fetched when their lock has changed."""
    context.mkdir(parents=True, exist_ok=True)
    wanted = hashlib.sha256((REPOSITORY / SHIPPED["batch"]).read_bytes() + Path(__file__).read_bytes()).hexdigest()
    stamp = context / "dependencies.sha256"
    if not stamp.exists() or stamp.read_text() != wanted:
        stamp.unlink(missing_ok=True)
        _install_dependencies(context / "dependencies")
        stamp.write_text(wanted)
    code = context / "code"
    shutil.rmtree(code, ignore_errors=True)
    for package in CODE:
        shutil.copytree(REPOSITORY / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    _settle(code)


def engine_at_hand() -> str:
    """The first of docker and podman that works here. Raises ImageNotBuilt."""
    for engine in ENGINES:
        if (
            shutil.which(engine)
            and not subprocess.run([engine, "info"], capture_output=True, check=False).returncode
        ):
            return engine
    raise ImageNotBuilt("Neither docker nor podman works here; one of them builds and runs the image.")


def build(engine: str, tag: str, *, context: Path, base: str | None = None) -> None:
    """Raises ImageNotBuilt."""
    given = {"REVISION": revision(), "RUNTIME_ABI": str(RUNTIME_ABI)} | ({"BASE": base} if base else {})
    command = [engine, "build", "--file", str(DOCKERFILE), "--tag", tag]
    command += [part for name, value in given.items() for part in ("--build-arg", f"{name}={value}")]
    # Each engine has its own way to keep the hour of the build out of the image.
    command += ["--timestamp", str(_EPOCH)] if engine == "podman" else ["--provenance=false"]
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


def _install_dependencies(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock = str(REPOSITORY / SHIPPED["batch"])
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps"]
    pip += ["--require-hashes", "--requirement", lock, "--target", str(folder), "--no-compile"]
    pip += ["--only-binary", ":all:", "--python-version", PYTHON]
    pip += [part for platform in PLATFORMS for part in ("--platform", platform)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageNotBuilt(f"pip could not install {SHIPPED['batch']}: {done.stderr.strip()[-2000:]}")
    _prune(folder)
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


def _prune(folder: Path) -> None:
    """Removes commands, and botocore's descriptions of services that the job never calls."""
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for service in (folder / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in AWS_SERVICES:
            shutil.rmtree(service)
    for resources in (folder / "boto3" / "data").iterdir():
        if resources.is_dir() and resources.name not in AWS_SERVICES:
            shutil.rmtree(resources)
    for record in folder.glob("*.dist-info/RECORD"):  # names files that are gone
        record.unlink()


def _settle(folder: Path) -> None:
    """Gives every file one time and one mode."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (_EPOCH, _EPOCH))


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the image of the analysis job.")
    parser.add_argument("--engine", choices=ENGINES, help="the first of them that works here, unless given")
    parser.add_argument("--tag", default=TAG)
    parser.add_argument("--base", help="another base image than the Dockerfile names, such as a mirror of it")
    arguments = parser.parse_args()
    try:
        lay_out(CONTEXT)
        engine = arguments.engine or engine_at_hand()
        build(engine, arguments.tag, context=CONTEXT, base=arguments.base)
    except ImageNotBuilt as exc:
        print(exc, file=sys.stderr)
        return 1
    print(f"built {arguments.tag} from {revision()} for runtime ABI {RUNTIME_ABI}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
