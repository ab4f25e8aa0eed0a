"""A job's container as the Batch stand-in runs it: what it may do, and how its end is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.batch.capacity import Resources
from local.batch.container_runner import ContainerRunner, Host
from local.batch.containers import Container, ContainerNotStarted, Mount
from tests.images.bake import served, wait_until
from tests.images.conftest import TAG, Machine
from tests.images.podman import Podman, jobs_of
from tests.images.running import JOB

# One worker, so that everything is made once; the first test of them waits for all of it.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("images"), pytest.mark.timeout(900)]

_PROBE = """
import json, os, signal, socket, sys, time

def reaches(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

def writes(folder):
    try:
        open(f"{folder}/file", "w").close()
    except OSError as exc:
        return exc.strerror
    return "yes"

print(json.dumps({
    "user": os.getuid(),
    "network": sorted(os.listdir("/sys/class/net")),
    "reaches": [reaches(int(port)) for port in sys.argv[1:]],
    "writes": [writes(folder) for folder in ("/", "/tmp", "/opt/models", "/scratch")],
    "variable": os.environ["VARIABLE"],
    "capabilities": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")],
}), flush=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
time.sleep(60)
"""


@pytest.fixture
def runner(
    furnished: Machine, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[ContainerRunner]:
    monkeypatch.chdir(tmp_path)  # where podman's monitor leaves a note of what ran out of memory
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    scratch.chmod(0o777)
    folders = {
        volume["host"]["sourcePath"]: str(furnished.folders.get(mount["containerPath"], scratch))
        for volume, mount in zip(JOB["volumes"], JOB["mountPoints"], strict=True)
    }
    with served(tmp_path) as address:
        runner = ContainerRunner(
            Host(engine="podman", label="test", folders=folders, ports=[int(address.rpartition(":")[2])])
        )
        yield runner
        runner.close()


def _container(tmp_path: Path, *command: str, image: str = TAG, **changes: Any) -> Container:
    volumes = {volume["name"]: volume["host"]["sourcePath"] for volume in JOB["volumes"]}
    mounts = tuple(
        Mount(inside=each["containerPath"], outside=volumes[each["sourceVolume"]], read_only=each["readOnly"])
        for each in JOB["mountPoints"]
    )
    given = {
        "name": "probe",
        "environment": {"VARIABLE": "a\nb", "LD_LIBRARY_PATH": "/opt/runtime/lib"},
        "resources": Resources(1, 256, 0),
        "mounts": mounts,
        "log_path": tmp_path / "log",
        "user": JOB["user"],
        "read_only_root": JOB["readonlyRootFilesystem"],
    } | changes
    return Container(image=image, command=command, **given)


def test_a_job_reaches_nothing_but_the_stack(runner: ContainerRunner, tmp_path: Path):
    """What an uploaded file makes of the decoder has no network, no rights and no place to write to."""
    open_port = runner.host.ports[0]
    with served(tmp_path) as elsewhere:
        ports = [str(open_port), elsewhere.rpartition(":")[2]]
        running = runner.start(_container(tmp_path, "python", "-c", _PROBE, *ports))
        wait_until(lambda: "}" in (tmp_path / "log").read_text())
        running.stop()
        code = running.wait()

    found = json.loads((tmp_path / "log").read_text())
    assert found == {
        "user": 1000,
        "network": ["lo"],
        "reaches": [True, False],
        "writes": ["Read-only file system"] * 3 + ["yes"],
        "variable": "a\nb",
        "capabilities": ["0000000000000000"],
    }
    assert code == 75


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param("raise SystemExit(65)", 65, id="its own code"),
        pytest.param("held = [b'x' * 2**20 for _ in range(2000)]", 137, id="more memory than it was given"),
    ],
)
def test_an_exit_code_is_as_docker_tells_it(runner: ContainerRunner, tmp_path: Path, script: str, code: int):
    """The retry rules go by it."""
    assert runner.start(_container(tmp_path, "python", "-c", script)).wait() == code


def test_a_killed_job_is_gone(runner: ContainerRunner, podman: Podman, tmp_path: Path):
    running = runner.start(_container(tmp_path, "python", "-c", "import time; time.sleep(60)"))
    running.kill()

    assert running.wait() == 137
    assert jobs_of(podman) == ""


@pytest.mark.parametrize(
    ("changes", "command", "reason"),
    [
        pytest.param({"image": "localhost/nowhere:1"}, ("python",), "CannotPullContainerError: ", id="no image"),
        pytest.param({}, ("no-such-program",), "CannotStartContainerError: ", id="no such program"),
        pytest.param(
            {"mounts": (Mount(inside="/x", outside="/no/such/folder", read_only=True),)},
            ("python",),
            "CannotCreateContainerError: ",
            id="no such folder",
        ),
    ],
)
def test_what_cannot_be_started_is_told_in_the_agents_words(
    runner: ContainerRunner,
    podman: Podman,
    tmp_path: Path,
    changes: dict[str, Any],
    command: tuple[str],
    reason: str,
):
    """Rules and messages go by how they begin."""
    with pytest.raises(ContainerNotStarted, match=f"^{reason}"):
        runner.start(_container(tmp_path, *command, **changes))

    assert jobs_of(podman) == ""


def test_what_a_killed_stand_in_left_behind_is_removed(runner: ContainerRunner, podman: Podman, tmp_path: Path):
    """Nobody would ever hear of its end."""
    left = runner.start(_container(tmp_path, "python", "-c", "import time; time.sleep(60)"))

    ContainerRunner(Host(engine="podman", label="test"))

    assert left.wait() == 137
    assert jobs_of(podman) == ""
