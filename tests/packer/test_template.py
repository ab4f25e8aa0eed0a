"""The bake itself, as far as it can be tried without a machine of AWS."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from contract.jobs import job_definition
from packer.packer_py_wrapper import command
from packer.packer_py_wrapper.content import REPOSITORY, content_of
from packer.packer_py_wrapper.errors import PackerError
from tests.images.bake import NEWER

PROVISIONERS = REPOSITORY / "packer" / "provisioners"
VARIABLES = {
    "source_ami": "ami-0123",
    "python_url": "https://example.org/python.tar.gz",
    "python_sha256": "0" * 64,
    "driver_floor": "570.00",
    "instance_type": "g6.xlarge",
    "region": "eu-central-1",
    "clip": "clip.mp4",
    "ssh_from": '["10.0.0.0/8"]',
    "content": "abc",
    "runtime_abi": "1",
    "manifest": "manifest.json",
}


@pytest.fixture
def packer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The real command, of a version that still carries the amazon builder: others fetch it from the network."""
    found = shutil.which("packer")
    reason = "the template is checked with packer below 1.10, which is not installed"
    if found:
        said = subprocess.run([found, "version"], capture_output=True, text=True, check=True).stdout
        major, minor = map(int, re.findall(r"\d+", said)[:2])
        reason = "" if (major, minor) < (1, 10) else reason
    if reason:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    assert found
    monkeypatch.setenv("CHECKPOINT_DISABLE", "1")
    monkeypatch.setenv("PACKER_CONFIG_DIR", str(tmp_path))
    return found


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    """The template without what packer 1.6 does not know: the block that names plugins, and two settings."""
    for folder in ("packer", "contract", "models"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    for folder in ("exports", "batch_job"):
        (tmp_path / folder).symlink_to(REPOSITORY / folder)
    (tmp_path / "clip.mp4").write_bytes(b"")
    (tmp_path / "packer" / "plugins.pkr.hcl").unlink()
    template = tmp_path / "packer" / "framebatch.pkr.hcl"
    template.write_text(NEWER.sub("\n", template.read_text()))
    return tmp_path / "packer"


def test_packer_accepts_the_template(packer, staged):
    """Also that every file it names is there."""
    given = [part for name, value in VARIABLES.items() for part in ("-var", f"{name}={value}")]
    done = subprocess.run(
        [packer, "validate", *given, staged], cwd=staged.parent, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_machines_give_their_credentials_only_for_a_token():
    """A fetch that an uploaded file provokes must not read the role's keys. packer 1.6 cannot check this."""
    template = (REPOSITORY / "packer" / "framebatch.pkr.hcl").read_text()

    assert re.search(r'http_tokens +  *= "required"', template)
    assert 'imds_support = "v2.0"' in template


def test_the_template_has_packers_own_form(packer, staged):
    done = subprocess.run([packer, "fmt", "-check", "-diff", staged], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout


def test_the_real_packers_words_are_understood(packer, tmp_path):
    """The stand-in of the other tests must not be the only one whose output can be read."""
    _local_bake(tmp_path, "echo one, two")
    said: list[str] = []

    with pytest.raises(PackerError, match="named no image"):
        command.build(tmp_path, tmp_path / "empty.pkrvars.hcl", {"content": "abc"}, said.append)

    assert [line for line in said if line.endswith("null.here: one, two")]


def test_the_real_packers_reason_is_given(packer, tmp_path):
    """It stands in a line of another kind than what it says while it works."""
    _local_bake(tmp_path, "exit 3")

    with pytest.raises(PackerError, match=r"could not build the image: .*exit status: 3"):
        command.build(tmp_path, tmp_path / "empty.pkrvars.hcl", {"content": "abc"}, lambda _: None)


@pytest.mark.parametrize(
    ("floor", "driver", "code"),
    [
        pytest.param("570.00", "570.86.15", 0, id="newer"),
        pytest.param("570.86.15", "570.86.15", 0, id="equal"),
        pytest.param("570.00", "535.183.01", 1, id="older"),
        pytest.param("99.0", "535.183.01", 0, id="compared as versions, not as texts"),
        pytest.param("570.00", None, 1, id="no driver"),
        pytest.param("", None, 0, id="no GPU"),
    ],
)
def test_a_driver_below_the_floor_stops_the_bake(tmp_path, floor, driver, code):
    """Otherwise the image would be made, and every job on it fail."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text(f"#!/bin/sh\n{f'echo {driver}; echo {driver}' if driver else 'exit 9'}\n")
    smi.chmod(0o755)

    done = subprocess.run(
        [PROVISIONERS / "check_driver.sh"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "DRIVER_FLOOR": floor},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == code, done.stdout + done.stderr


def test_the_folders_that_jobs_mount_are_made(tmp_path):
    """What Docker makes itself belongs to root, and the job could not write its scratch files."""
    script = (PROVISIONERS / "base.sh").read_text()
    definition = job_definition(
        image="", environment={}, secrets={}, vcpus=1, memory_mib=1, gpus=0, timeout_seconds=60
    )
    for volume in definition["containerProperties"]["volumes"]:
        assert volume["host"]["sourcePath"] in script


@pytest.mark.parametrize("script", sorted(PROVISIONERS.glob("*.sh")), ids=lambda path: path.name)
def test_every_step_is_used_and_stops_at_its_first_fault(script: Path):
    """A step that goes on after a fault bakes the fault in."""
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[2:3] == ["set -euo pipefail"]
    assert f"provisioners/{script.name}" in (REPOSITORY / "packer" / "framebatch.pkr.hcl").read_text()
    subprocess.run(["bash", "-n", script], check=True)


def test_the_content_is_that_of_what_a_bake_reads(staged, tmp_path):
    """A change that the digest misses would never reach a machine; one that it need not see costs a bake."""
    variables = tmp_path / "gpu.pkrvars.hcl"
    variables.write_text("")
    before = content_of(tmp_path, variables)

    def changed_by(name: str) -> bool:
        path = tmp_path / name
        old = path.read_bytes()
        path.write_bytes(old + b"\n")
        changed = content_of(tmp_path, variables) != before
        path.write_bytes(old)
        return changed

    for name in (
        "packer/framebatch.pkr.hcl",
        "packer/runtime.lock",
        "packer/runtime/placing.py",
        "packer/provisioners/clean_up.sh",
        "models/models.lock.json",
        "contract/manifest.py",
        variables.name,
    ):
        assert changed_by(name), name
    for name in ("contract/messages.py", "packer/packer_py_wrapper/images.py"):
        assert not changed_by(name), name


def _local_bake(folder: Path, script: str) -> None:
    (folder / "empty.pkrvars.hcl").write_text("")
    (folder / "local.pkr.hcl").write_text(f"""
variable "content" {{ type = string }}
source "null" "here" {{ communicator = "none" }}
build {{
  sources = ["source.null.here"]
  provisioner "shell-local" {{ inline = ["{script}"] }}
}}
""")
