"""Podman with storage and settings of its own, so that a test neither sees nor changes anybody's images."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.batch.container_runner import LABEL

_SETTINGS = """
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
base_hosts_file = "{folder}/hosts"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_STORAGE = """
[storage]
driver = "{driver}"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Podman:
    folder: Path

    def prepare(self) -> None:
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n")
        (self.folder / "containers.conf").write_text(_SETTINGS.format(folder=self.folder))
        (self.folder / "storage.conf").write_text(_STORAGE.format(folder=self.folder, driver=_driver()))

    @property
    def environment(self) -> dict[str, str]:
        names = {"CONTAINERS_CONF": "containers.conf", "CONTAINERS_STORAGE_CONF": "storage.conf"}
        return {variable: str(self.folder / name) for variable, name in names.items()}

    def call(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["podman", *arguments],
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def image(self, tag: str) -> dict[str, Any]:
        return json.loads(self.call("image", "inspect", tag).stdout)[0]

    def archive(self, tag: str, folder: Path) -> dict[Path, int]:
        """Writes the image as a registry would hold it, and gives each compressed layer's size in bytes."""
        self.call("push", "--compress", tag, f"dir:{folder}")
        manifest = json.loads((folder / "manifest.json").read_text())
        return {folder / layer["digest"].partition(":")[2]: layer["size"] for layer in manifest["layers"]}


def _driver() -> str:
    """The one copies nothing, the other works everywhere."""
    known = Path("/proc/filesystems").read_text().split()
    return "overlay" if "overlay" in known and os.geteuid() == 0 else "vfs"


def debian(archive: Path, *arguments: str) -> None:
    """A root file system of Debian's packages."""
    memory = Path("/dev/shm")
    environment = os.environ | ({"TMPDIR": str(memory)} if memory.is_dir() else {})
    command = ["mmdebstrap", "--dpkgopt=force-unsafe-io", *arguments, "bookworm", archive]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=250)


def jobs_of(podman: Podman) -> str:
    """Ids of the containers that the Batch stand-in has started."""
    return podman.call("ps", "--all", "--quiet", "--filter", f"label={LABEL}").stdout
