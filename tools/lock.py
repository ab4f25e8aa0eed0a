"""Writes the locks: versions of everything for developers, and versions with sha256 for what is shipped.

`constraints.txt` holds the version of every package that any dependency group brings. Each shipped lock holds what
pip installs of one group on a machine of `PLATFORMS` and `PYTHON`, at the versions in constraints.txt, and the
sha256 of the one wheel that may be installed. Neither names an index. Run by `make lock`; pip itself resolves.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.tags import cpython_tags
from packaging.utils import parse_wheel_filename

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = "3.11"  # of the machine image; compiled packages in the container are built for it
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
# Packages with CUDA in them, gigabytes of it: uv reads their metadata and sha256 from the index, where pip would
# download them.
GPU_GROUP, GPU_LOCK = "runtime-gpu", Path("packer/runtime-gpu.lock")
# ultralytics asks for it; the headless build is the same module without a window system, which no machine has.
_LEFT_OUT = ("opencv-python",)
SHIPPED = {
    "batch": Path("docker/batch_job.lock"),
    "backend-image": Path("docker/backend.lock"),
    "runtime": Path("packer/runtime.lock"),
}

_HEADER = "# Every dependency of every group in pyproject.toml, pinned; written by `make lock`.\n"
_SHIPPED_HEADER = "# The group {group} for Python {python} on Linux x86_64; written by `make lock`.\n"


def main() -> None:
    _write_constraints()
    for group in SHIPPED:
        _write_shipped(group)
    _write_gpu()


def _write_constraints() -> None:
    found = (item["metadata"] for item in _resolved("--group", "test", "pip"))
    # A local build tag such as +cpu names one index's build; users elsewhere have another of the same version.
    pins = sorted(f"{item['name'].lower()}=={item['version'].partition('+')[0]}\n" for item in found)
    (REPOSITORY / "constraints.txt").write_text(_HEADER + "".join(pins), encoding="utf-8")


def _write_shipped(group: str) -> None:
    pins = []
    with tempfile.TemporaryDirectory() as nowhere:
        target = ["--target", nowhere, "--only-binary", ":all:", "--python-version", PYTHON]
        target += [part for platform in PLATFORMS for part in ("--platform", platform)]
        for item in _resolved("--constraint", "constraints.txt", *target, "--group", group):
            sha256 = item["download_info"]["archive_info"]["hashes"]["sha256"]
            name, version = item["metadata"]["name"].lower(), item["metadata"]["version"]
            pins.append(f"{name}=={version} --hash=sha256:{sha256}\n")
    header = _SHIPPED_HEADER.format(group=group, python=PYTHON)
    (REPOSITORY / SHIPPED[group]).write_text(header + "".join(sorted(pins)), encoding="utf-8")


def _resolved(*arguments: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed")
        subprocess.run([*pip, "--report", str(path), *arguments], cwd=REPOSITORY, check=True)
        packages: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["install"]
    return packages


def _write_gpu() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pylock.toml"
        uv = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--format", "pylock.toml"]
        uv += ["--group", GPU_GROUP, "--constraints", "constraints.txt", "--only-binary", ":all:"]
        uv += [
            "--python-version",
            PYTHON,
            "--python-platform",
            "x86_64-manylinux_2_28",
            "--output-file",
            str(path),
        ]
        subprocess.run(uv, cwd=REPOSITORY, check=True)
        packages = tomllib.loads(path.read_text(encoding="utf-8"))["packages"]
    linux = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}
    linux |= {"python_version": PYTHON, "python_full_version": f"{PYTHON}.0"}
    pins = [
        f"{package['name']}=={package['version']} --hash=sha256:{_best(package['wheels'])['hashes']['sha256']}\n"
        for package in packages
        if package["name"] not in _LEFT_OUT and Marker(package.get("marker", "os_name != ''")).evaluate(linux)
    ]
    header = _SHIPPED_HEADER.format(group=GPU_GROUP, python=PYTHON)
    (REPOSITORY / GPU_LOCK).write_text(header + "".join(sorted(pins)), encoding="utf-8")


def _best(wheels: list[dict[str, Any]]) -> dict[str, Any]:
    """The wheel that pip would choose on a machine of `PLATFORMS`."""
    order = {
        tag: rank for rank, tag in enumerate(cpython_tags(tuple(map(int, PYTHON.split("."))), platforms=PLATFORMS))
    }

    def rank(wheel: dict[str, Any]) -> int:
        tags = parse_wheel_filename(wheel["url"].rpartition("/")[2])[3]
        return min(order.get(tag, len(order)) for tag in tags)

    return min(wheels, key=rank)


if __name__ == "__main__":
    main()
