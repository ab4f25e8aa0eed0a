"""The thin image: what is in it, what a change of it costs, and that it runs the real job."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from contract.jobs import job_definition
from contract.manifest import RUNTIME_ABI
from demo.video import make_demo_video
from local.runtime import write_manifest
from tests.batch_job.job import Bench
from tests.images.conftest import Machine, build
from tests.images.podman import Podman
from tools import batch_image

# One worker, so that everything is made once.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("images")]

JOB = job_definition(image="", environment={}, secrets={}, vcpus=1, memory_mib=2048, gpus=0, timeout_seconds=60)[
    "containerProperties"
]


@pytest.fixture
def bench(database_url, media_bucket, s3_client, tmp_path) -> Bench:
    manifest = tmp_path / "local" / "manifest.json"
    write_manifest(manifest, ())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return Bench(database_url=database_url, bucket=media_bucket, s3=s3_client, manifest=manifest, scratch=scratch)


def test_the_container_stores_what_a_process_stores(podman, image, furnished, bench, tmp_path):
    """Read-only, not as root, with the mounts and the command of the job definition that AWS Batch gets."""
    key = bench.upload(make_demo_video(tmp_path / "clip.mp4", seconds=2, seed=90_003).path)
    as_process = bench.add_analysis(key, model="demo-shapes")
    in_container = bench.add_analysis(key, model="demo-shapes")

    assert bench.run(as_process, ENGINE="openvino")[0] == 0
    done = _run_job(podman, image, furnished, tmp_path / "scratch", bench.environment(in_container))

    assert done.returncode == 0, done.stdout + done.stderr
    assert bench.analysis(in_container)["status"] == "succeeded"
    assert len(bench.rows(in_container)["detections"]) > 50
    assert bench.rows(in_container) == bench.rows(as_process)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_machine_of_another_abi_is_refused_before_the_video_is_touched(
    podman, image, furnished, bench, tmp_path
):
    """Code and machine image ship apart; where they do not fit, that is said once and not retried."""
    old = tmp_path / "runtime"
    old.mkdir()
    for path in furnished.runtime.iterdir():
        if path.name != "manifest.json":
            (old / path.name).symlink_to(Path("/opt/real") / path.name)
    manifest = (furnished.runtime / "manifest.json").read_text()
    (old / "manifest.json").write_text(manifest.replace(f'"abi": {RUNTIME_ABI}', f'"abi": {RUNTIME_ABI - 1}'))
    machine = Machine(runtime=old, models=furnished.models)
    request = bench.add_analysis("uploads/1/never-uploaded", model="demo-shapes")

    real = ("--volume", f"{furnished.runtime}:/opt/real:ro")
    done = _run_job(podman, image, machine, tmp_path / "scratch", bench.environment(request), *real)

    assert done.returncode == 65, done.stdout + done.stderr
    assert (
        f"needs runtime ABI {RUNTIME_ABI}; the machine image offers {RUNTIME_ABI - 1}" in done.stdout + done.stderr
    )
    assert bench.analysis(request)["error_code"] == "runtime_mismatch"


def test_the_image_says_what_it_is_and_runs_as_nobody(podman, image):
    """A deploy reads the ABI it asks for, and an operator the commit, without starting it."""
    configuration = podman.image(image)["Config"]

    assert configuration["Labels"]["framebatch.runtime-abi"] == str(RUNTIME_ABI)
    assert configuration["Labels"]["org.opencontainers.image.revision"] == batch_image.revision()
    assert configuration["User"] == "1000:1000"
    assert configuration["Cmd"] == JOB["command"]


def test_equal_input_gives_the_same_layers_anywhere(podman, image, context, tmp_path):
    """Or every build would move everything: hours, folders, modes and owners of a checkout must not show."""
    elsewhere = tmp_path / "elsewhere" / "context"
    batch_image.lay_out(elsewhere)
    build(podman, "localhost/again:test", elsewhere)

    assert podman.image("localhost/again:test")["RootFS"] == podman.image(image)["RootFS"]
    assert podman.image("localhost/again:test")["Digest"] == podman.image(image)["Digest"]


def test_a_change_of_code_moves_one_small_layer(podman, image, context, tmp_path):
    """The promise that makes a deploy a matter of seconds."""
    changed = tmp_path / "context"
    shutil.copytree(context, changed)
    with (changed / "code" / "batch_job" / "main.py").open("a") as file:
        file.write("# one more line\n")
    build(podman, "localhost/changed:test", changed)

    before = podman.archive(image, tmp_path / "before")
    after = podman.archive("localhost/changed:test", tmp_path / "after")
    moved = [size for path, size in after.items() if path.name not in {old.name for old in before}]
    assert len(moved) == 1
    assert moved[0] <= 200_000


def test_the_whole_image_is_thin(podman, image, tmp_path):
    """60 MB to pull and 150 MB on disk."""
    assert sum(podman.archive(image, tmp_path / "pushed").values()) <= 60_000_000
    assert podman.image(image)["Size"] <= 150_000_000


def test_nothing_that_does_not_belong_is_in_it(podman, image, tmp_path):
    """No compiler, no installer, no torch, no weights, no secrets; nothing anybody but root could change."""
    names = []
    for layer in podman.archive(image, tmp_path / "pushed"):
        with tarfile.open(layer) as archive:
            members = [member for member in archive if member.name.startswith(("app", "opt"))]
        names += [member.name for member in members]
        assert {(member.uid, member.gid) for member in members} <= {(0, 0)}
        assert not [member.name for member in members if member.mode & 0o022]

    last = {Path(name).name for name in names}
    assert {"batch_job", "contract", "boto3", "psycopg_binary"} <= last
    assert not last & {"torch", "numpy", "cv2", "pip", "gcc", "cc", "tests", ".git", ".env", "credentials"}
    public = "opt/dependencies/botocore/cacert.pem"
    kinds = (".pt", ".onnx", ".xml", ".param", ".pem", ".key")
    assert [name for name in names if name.endswith(kinds)] == [public]


def _run_job(podman: Podman, image: str, machine: Machine, scratch: Path, environment: dict[str, str], *more: str):
    """As the ECS agent starts the job definition; only the folders' places on this machine differ."""
    here = {"/opt/runtime": machine.runtime, "/opt/models": machine.models}
    os.chown(scratch, int(JOB["user"]), int(JOB["user"]))
    for folder in (scratch, *scratch.parents[:3]):
        folder.chmod(0o755)
    hosts = {volume["name"]: volume["host"]["sourcePath"] for volume in JOB["volumes"]}
    arguments = ["--rm", "--network", "host", "--cap-drop", "ALL", "--user", JOB["user"]]
    arguments += ["--read-only", "--read-only-tmpfs=false"] if JOB["readonlyRootFilesystem"] else []
    for mount in JOB["mountPoints"]:
        source = here.get(hosts[mount["sourceVolume"]], scratch)
        arguments += ["--volume", f"{source}:{mount['containerPath']}:{'ro' if mount['readOnly'] else 'rw'}"]
    # The interpreter that plays the relocatable one finds its libraries through this variable.
    given = {"LD_LIBRARY_PATH": "/opt/runtime/lib"} | {
        name: value
        for name, value in environment.items()
        if name not in ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "RUNTIME_MANIFEST", "SCRATCH_DIR")
    }
    arguments += [part for name, value in given.items() for part in ("--env", f"{name}={value}")]
    return podman.call("run", *arguments, *more, image, *JOB["command"], check=False)
