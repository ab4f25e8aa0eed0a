"""What our images stand on: pinned by digest where they are released, and renewed by one line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.images.podman import Podman
from tests.images.registry import running_registry
from tools import images
from tools.bases import BaseUnknown, base_of, pin, require_pinned
from tools.lock import REPOSITORY

# Another worker than the job's image: neither needs what the other waits for.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("backend-image"), pytest.mark.timeout(900)]

DIGEST = f"sha256:{'0' * 64}"


def dockerfile(folder: Path, base: str) -> Path:
    path = folder / "Dockerfile"
    path.write_text(f"# before\nARG BASE={base}\nFROM ${{BASE}}\nARG BASE\nLABEL base=${{BASE}}\n")
    return path


def test_a_tag_becomes_the_digest_that_it_means_now(podman: Podman, tmp_path: Path, monkeypatch) -> None:
    """And nothing but that line changes, so that a renewal is easily reviewed."""
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(podman.folder / "registries.conf"))
    with running_registry(podman) as registry:
        name = f"{registry.address}/base:nonroot"
        path = dockerfile(tmp_path, name)
        before = path.read_text()
        for change in ("first", "second"):
            source = tmp_path / f"{change}.source"
            source.write_text(f"FROM scratch\nLABEL change={change}\n")
            podman.call("build", "--tag", "localhost/moved:test", "--file", str(source), str(tmp_path))
            digest = registry.take(podman, "localhost/moved:test", tmp_path / change)

            assert pin(path, "podman") == base_of(path) == f"{name}@{digest}"
            assert path.read_text() == before.replace(name, f"{name}@{digest}")
            # What it wrote can be built on, and the image says so.
            subprocess.run(
                ["podman", "build", "--tag", "localhost/on-it:test", tmp_path], check=True, capture_output=True
            )
            assert podman.image("localhost/on-it:test")["Config"]["Labels"]["base"] == f"{name}@{digest}"


def test_a_registry_that_does_not_answer_changes_nothing(podman: Podman, tmp_path: Path) -> None:
    path = dockerfile(tmp_path, f"127.0.0.1:9/base:nonroot@{DIGEST}")
    before = path.read_text()

    with pytest.raises(BaseUnknown, match=r"podman could not pull 127\.0\.0\.1:9/base:nonroot: "):
        pin(path, "podman")

    assert path.read_text() == before


@pytest.mark.parametrize("image", images.IMAGES)
def test_a_release_refuses_a_base_that_has_only_a_tag(image: str) -> None:
    """Whoever moves the tag would change what is released, and nobody would review it."""
    command = [
        sys.executable,
        REPOSITORY / "tools" / "images.py",
        image,
        "--release",
        "--base",
        "example.org/base:1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.startswith("The base example.org/base:1 is named by its tag alone")
    assert "make image-bases" in done.stderr


@pytest.mark.parametrize("base", [f"example.org/base@{DIGEST}", f"example.org:5000/base:1@{DIGEST}"])
def test_a_digest_is_a_pin(base: str) -> None:
    require_pinned(base)


@pytest.mark.parametrize("image", images.IMAGES.values(), ids=images.IMAGES)
def test_every_dockerfile_has_one_base_to_pin(image: images.Image) -> None:
    assert base_of(image.dockerfile).count(":") >= 1
    assert image.dockerfile.read_text().count("FROM ${BASE}") == image.dockerfile.read_text().count("\nFROM ")


@pytest.mark.parametrize("text", ["FROM a:1\n", "ARG BASE=a:1\nARG BASE=b:1\n"], ids=["none", "two"])
def test_a_dockerfile_without_that_line_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "Dockerfile").write_text(text)

    with pytest.raises(BaseUnknown, match="lines that begin with ARG BASE="):
        base_of(tmp_path / "Dockerfile")
