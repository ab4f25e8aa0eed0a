"""The thin image, and a machine that it can run on, both made here: the one by podman, the other by packer.

Takes podman, runc, mmdebstrap and packer below 1.10, which no user needs: without them these tests are skipped and
say so. With CI=true, where .ci/run installs them, they fail instead.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from local.interpreter import copy_interpreter
from local.runtime import write_manifest
from tests.batch_job.job import Bench
from tests.images.bake import Builder, running_builder, served, sha256_of, stage, wrapper
from tests.images.podman import Podman, debian
from tests.terraform.baking import heard
from tools import images

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

    @property
    def folders(self) -> dict[str, Path]:
        """By the path in the container."""
        return {"/opt/runtime": self.runtime, "/opt/models": self.models}


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
        os.environ.update(podman.environment)  # also for what calls podman itself
        yield podman
        podman.call("rm", "--all", "--force", check=False)
        podman.call("rmi", "--all", "--force", check=False)
        for name in podman.environment:
            del os.environ[name]


@pytest.fixture(scope="session")
def base(podman: Podman) -> str:
    """An image with what the Dockerfile's own base holds, made of Debian's packages: nothing is pulled."""
    archive = podman.folder / "base.tar"
    debian(archive, "--variant=extract", f"--include={_BASE_PACKAGES}")
    podman.call("import", str(archive), BASE)
    return BASE


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image") / "context"
    images.lay_out(images.JOB, folder)
    return folder


@pytest.fixture(scope="session")
def image(podman: Podman, base: str, context: Path) -> str:
    build(podman, TAG, context)
    return TAG


def build(podman: Podman, tag: str, context: Path) -> None:
    images.build(images.JOB, "podman", tag, context=context, base=BASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bake:
    """What a bake has left: the machine, the image that EC2 knows, what was said, and what EC2 was asked."""

    machine: Machine
    builder: Builder
    staged: Path
    variables: Path
    said: str
    asked: list[Mapping[str, str]]
    ec2: Any


@pytest.fixture(scope="session")
def bake(
    podman: Podman, aws_endpoint: str, videos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bake]:
    """`packer_py_wrapper build` with the real packer, from the empty machine to the registered image."""
    _require_old_packer()
    folder = tmp_path_factory.mktemp("machine")
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o755)  # jobs, which are not root, mount what lies in it
    web = folder / "web"
    copy_interpreter(web / "python")
    subprocess.run(["tar", "--create", "--file", web / "python.tar", "--directory", web, "python"], check=True)
    download = ["download", "--quiet", "--no-deps", "--require-hashes", "--dest", folder / "wheels"]
    lock = ("--requirement", ROOT / "packer" / "runtime.lock")
    subprocess.run([sys.executable, "-m", "pip", *download, *lock], check=True, capture_output=True)
    ec2 = boto3.client("ec2")
    variables = folder / "cpu.pkrvars.hcl"
    asked: list[Mapping[str, str]] = []
    with (
        running_builder(podman, folder, web / "python" / "lib") as builder,
        served(web) as address,
        heard(aws_endpoint, asked.append) as endpoint,
    ):
        variables.write_text(f"""
            source_ami    = "{ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]}"
            python_url    = "{address}/python.tar"
            python_sha256 = "{sha256_of(web / "python.tar")}"
            instance_type = "c7i.large"
            clip          = "{videos / "bottle-detection.mp4"}"
            scratch_mib   = 100
        """)
        staged = stage(folder / "checkout", builder, endpoint)
        done = wrapper(staged, "build", "--variables", variables)
        assert done.returncode == 0, done.stdout + done.stderr
        machine = Machine(runtime=builder.opt / "runtime", models=builder.opt / "models")
        yield Bake(
            machine=machine,
            builder=builder,
            staged=staged,
            variables=variables,
            said=done.stdout,
            asked=asked,
            ec2=ec2,
        )


@pytest.fixture(scope="session")
def furnished(bake: Bake) -> Machine:
    return bake.machine


def _require_old_packer() -> None:
    """Newer versions fetch their AWS plugin from the network, and it wants more of EC2 than moto has."""
    found = shutil.which("packer")
    said = subprocess.run([found, "version"], capture_output=True, text=True, check=True).stdout if found else ""
    if [int(number) for number in re.findall(r"\d+", said)[:2]] >= [1, 10] or not found:
        reason = "a machine is baked with packer below 1.10, which is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def bench(database_url: str, media_bucket: str, s3_client: Any, tmp_path: Path) -> Bench:
    """Its manifest is for plain processes; a container has that of its machine."""
    manifest = tmp_path / "local" / "manifest.json"
    write_manifest(manifest, ())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Bench(database_url=database_url, bucket=media_bucket, s3=s3_client, manifest=manifest, scratch=scratch)
