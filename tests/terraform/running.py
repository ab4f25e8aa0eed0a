"""Runs terraform, on copies of what is in the repository, without a network where the provider lies at hand."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TERRAFORM = REPOSITORY / "terraform"


def required(command: str) -> str:
    """The command's path; skips where it is not installed, and fails there in CI."""
    return shutil.which(command) or _cannot_go_on(f"{command} is not installed")


def run_with_all_it_starts(
    command: Sequence[str],
    *,
    seconds: float,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Raises subprocess.TimeoutExpired. Whatever ends the wait also ends what the command has started.

    terraform's provider is a process of its own, which holds the pipes and outlives a terraform that is killed.
    """
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def _cannot_go_on(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _provider_mirror() -> str | None:
    """Where providers lie on this machine, if TF_PLUGIN_DIR says so or a usual folder for software has them."""
    if given := os.environ.get("TF_PLUGIN_DIR"):
        return given
    for parent in ("/opt", "/usr/local/share", "/usr/share", "/var/lib"):
        for found in Path(parent).glob("*/registry.terraform.io/hashicorp/aws"):
            return str(found.parents[2])
    return None


def stage(folder: Path, *, without: tuple[str, ...] = ()) -> Path:
    """A copy of `terraform/` that runs may write into."""
    ignored = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "terraform.tfstate*", *without)
    return Path(shutil.copytree(TERRAFORM, folder / "terraform", ignore=ignored))


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """A root module that terraform is run in."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict)
    trouble: Callable[[], str] = str  # what the server that it asks can say of a failure

    def initialise(self) -> None:
        mirror = _provider_mirror()
        done = self.run("init", "-backend=false", *([f"-plugin-dir={mirror}"] if mirror else []))
        if done.returncode and mirror is None:
            _cannot_go_on(f"terraform's provider cannot be had: {done.stderr.strip()[-500:]}")
        assert done.returncode == 0, done.stderr
        values = json.dumps(dict(self.variables))
        (self.folder / "test.auto.tfvars.json").write_text(values, encoding="utf-8")

    def plan(self, **variables: str) -> dict[str, Any]:
        """The plan's JSON, with some variables of its own."""
        self("plan", "-out=plan", *(f"-var={name}={value}" for name, value in variables.items()))
        return json.loads(self("show", "-json", "plan"))

    def apply(self) -> None:
        self("apply", "-auto-approve")

    def destroy(self) -> None:
        self("destroy", "-auto-approve")

    def state(self) -> dict[str, Any]:
        return json.loads(self("show", "-json"))

    def outputs(self) -> dict[str, Any]:
        return {name: output["value"] for name, output in json.loads(self("output", "-json")).items()}

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        if done.returncode:
            said = done.stderr.strip() or done.stdout[-4000:]
            pytest.fail(f"terraform {arguments[0]} in {self.folder.name} failed:\n{said}\n{self.trouble()}")
        return done.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = required("terraform")
        command, *rest = arguments
        flags = ["-no-color"] if command != "fmt" else []
        if command in ("init", "plan", "apply", "destroy"):
            flags.append("-input=false")
        environment = {name: value for name, value in os.environ.items() if name not in _UNWANTED}
        environment |= {"CHECKPOINT_DISABLE": "1", "NO_PROXY": "127.0.0.1,localhost", **self.environment}
        return run_with_all_it_starts(
            [program, command, *flags, *rest], seconds=600, folder=self.folder, environment=environment
        )


# What a developer's machine says of terraform and AWS, which these runs must not follow.
_UNWANTED = frozenset(
    {"TF_CLI_CONFIG_FILE", "TF_WORKSPACE", "TF_LOG", "TF_DATA_DIR", "AWS_CA_BUNDLE", "AWS_PROFILE"}
)
