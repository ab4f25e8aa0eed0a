"""Starts the job's container as the ECS agent starts what the job definition says."""

import os
import subprocess
from collections.abc import Collection
from pathlib import Path

from contract.jobs import job_definition
from tests.images.podman import Podman

JOB = job_definition(image="", environment={}, secrets={}, vcpus=1, memory_mib=2048, gpus=0, timeout_seconds=60)[
    "containerProperties"
]


def run_job(
    podman: Podman,
    image: str,
    folders: dict[str, Path],
    environment: dict[str, str],
    *more: str,
    without: Collection[str] = (),
) -> subprocess.CompletedProcess[str]:
    """`folders` says where this machine keeps what is mounted from an EC2 instance; `without` is mounted empty.

    An empty folder of root is what Docker makes of a path that the machine does not have.
    """
    scratch = folders["/scratch"]
    os.chown(scratch, int(JOB["user"]), int(JOB["user"]))
    empty = scratch.parent / "made-by-docker"
    empty.mkdir(exist_ok=True)
    for folder in (scratch, empty, *scratch.parents[:3]):
        folder.chmod(0o755)
    arguments = ["--rm", "--network", "host", "--cap-drop", "ALL", "--user", JOB["user"]]
    arguments += ["--read-only", "--read-only-tmpfs=false"] if JOB["readonlyRootFilesystem"] else []
    for mount in JOB["mountPoints"]:
        inside = mount["containerPath"]
        outside = empty if inside in without else folders[inside]
        arguments += ["--volume", f"{outside}:{inside}:{'ro' if mount['readOnly'] else 'rw'}"]
    # The interpreter that plays the relocatable one finds its libraries through this variable.
    given = {"LD_LIBRARY_PATH": "/opt/runtime/lib"} | {
        name: value
        for name, value in environment.items()
        if name not in ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "RUNTIME_MANIFEST", "SCRATCH_DIR")
    }
    arguments += [part for name, value in given.items() for part in ("--env", f"{name}={value}")]
    return podman.call("run", *arguments, *more, image, *JOB["command"], check=False)
