"""A whole bake by the real packer: its steps on a machine reached over SSH, its image and snapshot in EC2."""

import json
import subprocess
from typing import Any

import boto3
import pytest

from contract.manifest import RUNTIME_ABI, RuntimeManifest
from tests.images.bake import TRACES, wrapper
from tests.images.conftest import Bake
from tools.lock import REPOSITORY

# One worker, so that everything is made once; the first test of them waits for all of it.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("images"), pytest.mark.timeout(900)]

FAMILY = "c7i"  # of the instance type that the bake is given

STEPS = (
    "base",
    "check_driver",
    "install_runtime",
    "place_models",
    "build_engines",
    "validate",
    "clean_up",
    "check_traces",
    "write_manifest",
)


@pytest.fixture
def image(bake: Bake) -> dict[str, Any]:
    filters = [{"Name": "tag-key", "Values": ["framebatch:content"]}]
    (found,) = bake.ec2.describe_images(Owners=["self"], Filters=filters)["Images"]
    return found


def test_the_steps_run_in_an_order_a_reader_expects(bake: Bake):
    """Packages before models, the trial before the clean-up, and the promise last of all."""
    said = [line.rpartition("/")[2] for line in bake.said.splitlines() if "/provisioners/" in line]

    assert said == [f"{step}.sh" for step in STEPS]


def test_every_model_has_analysed_a_real_clip(bake: Bake):
    """An image whose models cannot run would fail every job."""
    lines = [line.strip() for line in bake.said.splitlines() if " frames and " in line]

    manifest = RuntimeManifest.from_json((bake.machine.runtime / "manifest.json").read_text())
    tried = {(model.name, engine) for model in manifest.models for engine in manifest.engines}
    tried = {(name, engine) for name, engine in tried if engine in manifest.model(name).formats}
    assert len(lines) == len(tried) > 0
    for name, engine in tried:
        assert [line for line in lines if f"model {name} in {engine}: " in line]
    assert not [line for line in lines if " 0 frames" in line]


def test_the_machines_volume_is_encrypted_gp3_and_goes_with_it(bake: Bake):
    """The image's snapshot is encrypted as the volume is that it is made of; moto keeps neither."""
    (started,) = (call for call in bake.asked if call["Action"] == "RunInstances")
    volume = {
        name.removeprefix("BlockDeviceMapping.1."): value
        for name, value in started.items()
        if name.startswith("BlockDeviceMapping.")
    }

    assert volume == {
        "DeviceName": "/dev/xvda",
        "Ebs.Encrypted": "true",
        "Ebs.VolumeType": "gp3",
        "Ebs.VolumeSize": "30",
        "Ebs.Iops": "3000",
        "Ebs.Throughput": "250",
        "Ebs.DeleteOnTermination": "true",
    }
    assert started["InstanceInitiatedShutdownBehavior"] == "terminate"


def test_the_image_is_tagged_and_known_to_the_wrapper(bake: Bake, image: dict[str, Any]):
    """What plan, publish and prune go by is what the bake has registered."""
    tags = {tag["Key"]: tag["Value"] for tag in image["Tags"]}
    (snapshot,) = (each["Ebs"]["SnapshotId"] for each in image["BlockDeviceMappings"] if "Ebs" in each)
    (kept,) = bake.ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]

    assert tags["framebatch:runtime-abi"] == str(RUNTIME_ABI)
    assert tags["framebatch:family"] == FAMILY
    assert {tag["Key"] for tag in kept["Tags"]} >= {
        "framebatch:content",
        "framebatch:runtime-abi",
        "framebatch:family",
    }
    assert f"{tags['framebatch:content']}: {image['ImageId']} has it" in _say(bake, "plan")
    assert _say(bake, "build") == f"{image['ImageId']} is made of {tags['framebatch:content']} already\n"


def test_what_was_baked_can_be_published_as_it_is(bake: Bake, image: dict[str, Any]):
    """The manifest came back from the machine; nobody writes it by hand."""
    said = _say(bake, "publish")
    ssm = boto3.client("ssm")
    names = [f"/framebatch/runtime/{RUNTIME_ABI}/{FAMILY}/{name}" for name in ("image-id", "manifest")]
    stored = {each["Name"]: each["Value"] for each in ssm.get_parameters(Names=names)["Parameters"]}

    assert said.count("wrote") == 2
    assert stored[names[0]] == image["ImageId"]
    on_machine = json.loads((bake.machine.runtime / "manifest.json").read_text())
    assert json.loads(stored[names[1]]) == on_machine
    assert "published" in wrapper(bake.staged, "status").stdout
    assert wrapper(bake.staged, "prune", "--keep", "1").stdout == ""


def test_nothing_of_the_machine_it_was_baked_on_is_left(bake: Bake):
    """Keys, histories and names would be in every machine of the fleet, and in every copy of the image."""
    names = "/home/*/.ssh/authorized_keys /root/.ssh/authorized_keys /etc/ssh/ssh_host_* /tmp/* /var/tmp/*"
    left = bake.builder.run(f"ls -d {names} 2>&- || true").split()
    assert left == []

    kept = bake.builder.run(f"grep --files-with-matches secret {' '.join(TRACES)} 2>&- || true").split()
    assert kept == []
    assert bake.builder.run("cat /etc/machine-id") == ""
    assert bake.builder.run("ls /root") == ""


@pytest.mark.parametrize(
    "trace",
    [
        "/root/.ssh/authorized_keys",
        "/home/ec2-user/.ssh/authorized_keys",
        "/home/ec2-user/.ssh/id_ed25519",
        "/root/.ssh/known_hosts",
        "/etc/ssh/ssh_host_ed25519_key",
        "/root/.bash_history",
        "/home/ec2-user/.python_history",
        "/root/.aws/credentials",
        "/home/ec2-user/.docker/config.json",
        "/root/.netrc",
        "/etc/machine-id",
        "/var/lib/ecs/data/agent.db",
        "/var/lib/amazon/ssm/Vault/Store/EC2RegistrationKey",
    ],
)
def test_a_trace_that_is_left_stops_the_bake(bake: Bake, trace: str):
    """The clean-up removes what somebody thought of; this looks at what came out."""
    bake.builder.run(f"mkdir -p $(dirname {trace}) && echo secret > {trace}")

    done = _step(bake, "check_traces")

    bake.builder.run(f": > {trace}" if trace == "/etc/machine-id" else f"rm {trace}")
    assert done.returncode == 1
    assert f"the image would carry {trace}\n" in done.stderr
    assert _step(bake, "check_traces").returncode == 0


def test_the_clean_up_leaves_no_trace_behind(bake: Bake):
    """Also what was not there when this machine was baked, and when it is called again."""
    bake.builder.run(
        "mkdir -p /root/.ssh /root/.docker && touch /root/.ssh/known_hosts /root/.netrc /root/.docker/config.json"
    )
    bake.builder.run("touch /home/ec2-user/.ssh/id_ed25519 /home/ec2-user/.ssh/authorized_keys")

    for step in ("clean_up", "check_traces"):
        done = _step(bake, step)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("source", "installed"), [("s3://models/shapes", True), ("models/shapes", False)])
def test_models_in_s3_bring_the_command_that_fetches_them(bake: Bake, source: str, installed: bool):
    """Amazon's image for ECS is made of the minimal one; where all models lie in the repository, it stays so."""
    bake.builder.run(f"""
        mkdir -p /var/tmp/step/models && echo '{{"source": "{source}"}}' > /var/tmp/step/models/models.lock.json
        echo '#!/bin/sh\necho "$@" > /var/tmp/step/asked' > /usr/local/bin/dnf && chmod +x /usr/local/bin/dnf
    """)

    _step(bake, "place_models", "CHECKOUT=/var/tmp/step")

    asked = bake.builder.run("cat /var/tmp/step/asked 2>&- || true; rm -r /var/tmp/step /usr/local/bin/dnf")
    assert asked == ("install --assumeyes --quiet awscli-2\n" if installed else "")


def test_scratch_belongs_to_the_jobs_user(bake: Bake):
    """Docker would make it for root, and every job would fail."""
    assert bake.builder.run("stat --format '%u %g %a' /var/lib/framebatch/scratch") == "1000 1000 750\n"


def test_jobs_compile_nothing(bake: Bake):
    """They see the runtime read-only: what has no byte code is compiled anew at every start."""
    library = bake.machine.runtime / "lib" / "python3.11"
    compiled = {path.name.partition(".")[0] for path in (library / "__pycache__").iterdir()}

    assert {"argparse", "subprocess", "tempfile"} <= compiled
    assert list((library / "json" / "__pycache__").iterdir())
    assert list((library / "site-packages" / "numpy" / "__pycache__").iterdir())


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        pytest.param({"DISK_BUDGET_MIB": "10"}, "and their budget is 10 MiB", id="over the disk budget"),
        pytest.param({"SCRATCH_MIB": "999999999"}, "and need 999999999 MiB", id="no room for jobs"),
    ],
)
def test_a_bake_that_leaves_too_little_room_stops(bake: Bake, change: dict[str, str], complaint: str):
    """Storage is paid for each month, and a job without room fails after the video is fetched."""
    script = (REPOSITORY / "packer" / "provisioners" / "validate.sh").read_text()
    given = {"CHECKOUT": "/tmp", "DRIVER_FLOOR": "", "DISK_BUDGET_MIB": "16384", "SCRATCH_MIB": "1"} | change
    quoted = " ".join(f"{name}={value}" for name, value in given.items())
    # What tries the models has its own test; here it is the rest of the step.
    rest = "\n".join(line for line in script.replace("\\\n", "").splitlines() if "packer.runtime" not in line)

    done = bake.builder.podman.call(
        "exec", bake.builder.name, "env", *quoted.split(), "bash", "-c", rest, check=False
    )

    assert done.returncode == 1
    assert complaint in done.stderr


def _step(bake: Bake, name: str, *variables: str) -> subprocess.CompletedProcess[str]:
    script = (REPOSITORY / "packer" / "provisioners" / f"{name}.sh").read_text()
    return bake.builder.podman.call(
        "exec", bake.builder.name, "env", *variables, "bash", "-c", script, check=False
    )


def _say(bake: Bake, command: str) -> str:
    done = wrapper(bake.staged, command, "--variables", bake.variables)
    assert done.returncode == 0, done.stderr
    return done.stdout
