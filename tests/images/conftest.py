"""The thin image, and a machine that it can run on, both made here.

Takes podman, runc and mmdebstrap, which no user needs: without them these tests are skipped and say so. With
CI=true, where .ci/run installs them, they fail instead.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.images.interpreter import copy_interpreter
from tests.images.podman import Podman
from tools import batch_image

ROOT = Path(__file__).parents[2]
TAG = "localhost/framebatch-analysis:test"
BASE = "localhost/base:test"
# What gcr.io/distroless/cc-debian12 is made of.
_BASE_PACKAGES = "libc6,libgcc-s1,libgomp1,libstdc++6,libssl3,ca-certificates,tzdata,netbase"


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """The folders that a machine image offers to a container."""

    runtime: Path
    models: Path

    @property
    def python(self) -> Path:
        return self.runtime / "bin" / "python"


@pytest.fixture(scope="session")
def podman() -> Iterator[Podman]:
    missing = [name for name in ("podman", "runc", "mmdebstrap") if shutil.which(name) is None]
    if missing:
        reason = f"no container can be run without {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:  # podman refuses a path as long as pytest's
        podman = Podman(folder=Path(folder))
        podman.prepare()
        yield podman
        podman.call("rm", "--all", "--force", check=False)
        podman.call("rmi", "--all", "--force", check=False)


@pytest.fixture(scope="session")
def base(podman: Podman) -> str:
    """An image with what the Dockerfile's own base holds, made of Debian's packages: nothing is pulled."""
    archive = podman.folder / "base.tar"
    packages = ["--variant=extract", f"--include={_BASE_PACKAGES}"]
    subprocess.run(["mmdebstrap", *packages, "bookworm", archive], check=True, capture_output=True, timeout=200)
    podman.call("import", str(archive), BASE)
    return BASE


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image") / "context"
    batch_image.lay_out(folder)
    return folder


@pytest.fixture(scope="session")
def image(podman: Podman, base: str, context: Path) -> str:
    build(podman, TAG, context)
    return TAG


def build(podman: Podman, tag: str, context: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in podman.environment.items():
            patch.setenv(name, value)
        batch_image.build("podman", tag, context=context, base=BASE, arguments=podman.storage)


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A copy of this Python, furnished step by step as a bake does it."""
    folder = tmp_path_factory.mktemp("machine")
    machine = Machine(runtime=folder / "runtime", models=folder / "models")
    python = copy_interpreter(machine.runtime)
    _step(python, "packages")
    _step(python, "models", "--models", machine.models, "--manifest", machine.runtime / "manifest.json")
    folder.chmod(0o755)
    folder.parent.chmod(0o755)
    return machine


def _step(python: Path, *arguments: str | Path) -> None:
    done = subprocess.run(
        [python, "-m", "packer.runtime", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
