"""The thin image: what is in it, what a change of it costs, and that it runs the real job."""

import shutil
import tarfile
from pathlib import Path

import pytest

from contract.manifest import RUNTIME_ABI
from demo.video import make_demo_video
from tests.images.conftest import build
from tests.images.running import JOB, run_job
from tools import images

# One worker, so that everything is made once; the first test of them waits for all of it.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("images"), pytest.mark.timeout(900)]


_OF_PYTHON = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


def test_the_container_stores_what_a_process_stores(podman, image, furnished, bench, tmp_path):
    """Read-only, not as root, with the mounts and the command of the job definition that AWS Batch gets."""
    key = bench.upload(make_demo_video(tmp_path / "clip.mp4", seconds=2, seed=90_003).path)
    as_process = bench.add_analysis(key, model="demo-shapes")
    in_container = bench.add_analysis(key, model="demo-shapes")

    assert bench.run(as_process, ENGINE="openvino")[0] == 0
    folders = furnished.folders | {"/scratch": bench.scratch}
    done = run_job(podman, image, folders, bench.environment(in_container))

    assert done.returncode == 0, done.stdout + done.stderr
    assert bench.analysis(in_container)["status"] == "succeeded"
    assert len(bench.rows(in_container)["detections"]) > 50
    assert bench.rows(in_container) == bench.rows(as_process)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_image_says_what_it_is_and_runs_as_nobody(podman, image):
    """A deploy reads the ABI it asks for, and an operator the commit, without starting it."""
    configuration = podman.image(image)["Config"]

    assert configuration["Labels"]["framebatch.runtime-abi"] == str(RUNTIME_ABI)
    assert configuration["Labels"]["org.opencontainers.image.revision"] == images.revision()
    assert configuration["User"] == "1000:1000"
    assert configuration["Cmd"] == JOB["command"]


def test_equal_input_gives_the_same_layers_anywhere(podman, image, context, tmp_path):
    """Or every build would move everything: hours, folders, modes and owners of a checkout must not show."""
    elsewhere = tmp_path / "elsewhere" / "context"
    images.lay_out(images.JOB, elsewhere)
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
    assert {"batch_job", "contract", "boto3", "psycopg_binary", "sbom.cdx.json"} <= last
    assert not last & {"torch", "numpy", "cv2", "pip", "gcc", "cc", "tests", ".git", ".env", "credentials"}
    public = "opt/dependencies/botocore/cacert.pem"
    kinds = (".pt", ".onnx", ".xml", ".param", ".pem", ".key")
    assert [name for name in names if name.endswith(kinds)] == [public]
    given = {line.partition("=")[0] for line in podman.image(image)["Config"]["Env"]}
    assert given == {"PATH", "PYTHONPATH", "TMPDIR", *_OF_PYTHON, "NVIDIA_DRIVER_CAPABILITIES"}


def test_only_services_that_jobs_call_are_described_in_it(context):
    """botocore has more than four hundred of them, most of its weight."""
    for package in ("boto3", "botocore"):
        data = context / "dependencies" / package / "data"
        assert {path.name for path in data.iterdir() if path.is_dir()} <= {"s3", "sts"}
    assert (context / "dependencies" / "botocore" / "data" / "s3").is_dir()
