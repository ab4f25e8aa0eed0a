"""The bake itself, as far as it can be tried without a machine of AWS."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from contract.jobs import job_definition
from packer.packer_py_wrapper import command
from packer.packer_py_wrapper.content import REPOSITORY, content_of
from packer.packer_py_wrapper.errors import PackerError
from tests.images.bake import NEWER

PROVISIONERS = REPOSITORY / "packer" / "provisioners"
# Not in one piece: where a signal comes between two commands, the shell begins the next one and waits for its end.
A_MINUTE = "for _ in $(seq 600); do sleep 0.1; done"
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


def test_a_bake_asks_for_no_right_to_read_profiles():
    """Packer would call iam:GetInstanceProfile first, which the role of GitHub's workflow does not have."""
    template = (REPOSITORY / "packer" / "framebatch.pkr.hcl").read_text()

    assert re.search(r"^ +skip_profile_validation += true$", template, re.MULTILINE)


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


def test_packers_reason_before_a_build_is_given(packer, tmp_path):
    """Nothing of a template is baked yet, and packer tells it in other words: a missing plugin, a typo."""
    _local_bake(tmp_path, "true")
    (tmp_path / "more.pkr.hcl").write_text('build { sources = ["source.null.nowhere"] }\n')

    with pytest.raises(PackerError, match=r"could not build the image: (?s:.*)Unknown source null.nowhere"):
        command.build(tmp_path, tmp_path / "empty.pkrvars.hcl", {"content": "abc"}, lambda _: None)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=lambda stop: stop.name)
def test_the_real_packer_hears_that_a_bake_is_stopped(packer, tmp_path, stop):
    """It is two processes, and the first of them leaves it to the second."""
    _local_bake(tmp_path, f"trap 'sleep 1; exit 1' INT; echo begun; {A_MINUTE}")

    said = _stopped(tmp_path, stop)

    assert "Cleanly cancelled builds after being interrupted." in said


@pytest.mark.parametrize(
    "present", [signal.default_int_handler, signal.SIG_IGN], ids=["ahead", "in the background"]
)
def test_a_stopped_bake_is_over_when_packer_has_cleaned_up(tmp_path, monkeypatch, present):
    """Left alone, it would die at its next word, and the machine that it has started would go on to cost.

    In the background, a shell has its processes ignore SIGINT, and they hand that down.
    """
    packer = tmp_path / "packer"
    packer.write_text(f"#!/bin/sh\ntrap 'sleep 1; echo removed; exit 1' INT\necho begun\n{A_MINUTE}\n")
    packer.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    ours = signal.signal(signal.SIGINT, present)
    try:
        assert _stopped(tmp_path, signal.SIGINT)[-1] == "removed"
        assert signal.getsignal(signal.SIGINT) == present
    finally:
        signal.signal(signal.SIGINT, ours)


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
    done = _driver_checked(tmp_path, floor, f"echo {driver}; echo {driver}" if driver else "exit 9")

    assert done.returncode == code, done.stdout + done.stderr


def test_a_driver_that_is_not_loaded_yet_is_waited_for(tmp_path):
    """A machine answers over SSH before Amazon's service has chosen a kernel module for its GPU."""
    asked = tmp_path / "asked"
    done = _driver_checked(tmp_path, "570.00", f"echo >> {asked}; [ $(wc -l < {asked}) -gt 3 ] && echo 580.65.06")

    assert (done.returncode, done.stdout) == (0, "driver 580.65.06\n"), done.stderr


def test_a_machine_without_nvidias_tools_is_not_waited_for(tmp_path):
    """The wrong image to start from: nothing that comes up later could bring them."""
    done = _driver_checked(tmp_path, "570.00", None)

    assert done.returncode == 1
    assert done.stderr.endswith("nvidia-smi finds no driver, and 570.00 is the lowest that will do\n")
    assert not (tmp_path / "slept").exists()


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


def _stopped(folder: Path, stop: signal.Signals) -> list[str]:
    """Stops this process as soon as packer says that it has begun. Gives what packer said."""
    said: list[str] = []

    def tell(line: str) -> None:
        said.append(line)
        if line.endswith("begun"):
            os.kill(os.getpid(), stop)

    with pytest.raises(PackerError, match="could not build the image"):
        command.build(folder, folder / "empty.pkrvars.hcl", {"content": "abc"}, tell)
    return said


def _driver_checked(folder: Path, floor: str, smi: str | None) -> subprocess.CompletedProcess[str]:
    """The step with an `nvidia-smi` that does this, or with none, and a `sleep` that takes no time."""
    for name, script in {"nvidia-smi": smi, "sleep": f"echo >> {folder / 'slept'}"}.items():
        if script is not None:
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
    return subprocess.run(
        [PROVISIONERS / "check_driver.sh"],
        env={"PATH": f"{folder}:/usr/bin:/bin", "DRIVER_FLOOR": floor},
        capture_output=True,
        text=True,
        check=False,
    )


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
