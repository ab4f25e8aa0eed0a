"""Writes the locks: versions of everything for developers, and versions with sha256 for what is shipped.

`constraints.txt` holds the version of every package that any dependency group brings. Each shipped lock holds what
pip installs of one group on a machine of `PLATFORMS` and `PYTHON`, at the versions in constraints.txt, and the
sha256 of the one wheel that may be installed. Neither names an index. Run by `make lock`; pip itself resolves.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
PYTHON = "3.11"  # of the machine image; compiled packages in the container are built for it
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
SHIPPED = {"batch": Path("docker/batch_job.lock"), "runtime": Path("packer/runtime.lock")}

_HEADER = "# Every dependency of every group in pyproject.toml, pinned; written by `make lock`.\n"
_SHIPPED_HEADER = "# The group {group} for Python {python} on Linux x86_64; written by `make lock`.\n"


def main() -> None:
    _write_constraints()
    for group in SHIPPED:
        _write_shipped(group)


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


if __name__ == "__main__":
    main()
