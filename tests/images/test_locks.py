"""What is shipped has the versions that everybody here tests with."""

import re
import tomllib

import pytest

from tools.lock import GPU_LOCK, REPOSITORY, SHIPPED

_PIN = re.compile(r"(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("group", sorted(SHIPPED))
def test_a_shipped_lock_agrees_with_the_constraints(group: str):
    """Two files name versions; `make lock` writes both, and a hand that edits one is told here."""
    constraints = (REPOSITORY / "constraints.txt").read_text().splitlines()
    lines = [line for line in (REPOSITORY / SHIPPED[group]).read_text().splitlines() if not line.startswith("#")]

    pins = [_PIN.fullmatch(line) for line in lines]
    assert pins
    assert all(pins), "a line lacks its sha256"
    assert {f"{pin[1]}=={pin[2]}" for pin in pins if pin} <= set(constraints)


def test_the_lock_for_gpus_agrees_where_both_name_a_package():
    """Its CUDA packages are nobody's here; the rest has the versions that are tested."""
    constraints = dict(
        line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().split() if "==" in line
    )
    lines = [line for line in (REPOSITORY / GPU_LOCK).read_text().splitlines() if not line.startswith("#")]
    pins = [_PIN.fullmatch(line) for line in lines]

    assert all(pins), "a line lacks its sha256"
    found = {pin[1]: pin[2] for pin in pins if pin}
    assert {"torch", "torchvision", "ultralytics", "nvidia-cudnn-cu13"} <= set(found)
    assert "opencv-python" not in found
    assert {name: version for name, version in found.items() if constraints.get(name, version) != version} == {}


def test_every_direct_dependency_of_the_backend_is_in_its_lock():
    """A group grows; the image must grow with it, or it does not start."""
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["dependency-groups"]
    wanted = {
        re.split(r"[\[=<>;!~ ]", name)[0].lower() for group in ("backend", "probe") for name in groups[group]
    }
    locked = {line.partition("==")[0] for line in (REPOSITORY / SHIPPED["backend-image"]).read_text().splitlines()}

    assert wanted <= locked, "run `make lock`"
