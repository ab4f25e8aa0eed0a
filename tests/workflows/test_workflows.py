"""The workflows on GitHub: what they may do, and that nothing in them moves by itself."""

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from packer.packer_py_wrapper.content import inputs_of

REPOSITORY = Path(__file__).parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> dict[Any, Any]:
    return yaml.safe_load(request.param.read_text())


def test_the_linter_finds_nothing():
    """zizmor knows the ways in which a workflow is taken over: templates in scripts, kept credentials, ..."""
    zizmor = Path(sys.executable).with_name("zizmor")
    command = [zizmor, "--offline", "--no-progress", REPOSITORY / ".github"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_actions_are_pinned_by_digest(workflow: dict[Any, Any]):
    """A tag may be moved to other code by whoever owns the action."""
    used = [step["uses"] for step in _steps(workflow) if "uses" in step]

    assert used
    assert not [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name)]
    called = [job["uses"] for job in workflow["jobs"].values() if "uses" in job]
    assert not [name for name in called if not name.startswith(("./", "$/"))]  # of this repository, at this commit


def test_rights_are_given_job_by_job(workflow: dict[Any, Any]):
    """And only a job that stands behind an environment may ask who it is at AWS."""
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]["contents"] == "read"
        assert set(job["permissions"]) <= ({"contents", "id-token"} if "environment" in job else {"contents"})


def test_every_line_of_their_scripts_is_bash(workflow: dict[Any, Any]):
    assert workflow["defaults"]["run"]["shell"] == "bash"  # without it, a pipe hides what failed in it
    for step in _steps(workflow):
        subprocess.run(["bash", "-n"], input=step.get("run", ""), text=True, check=True, env=dict(os.environ))


def test_nothing_runs_for_hours_by_mistake(workflow: dict[Any, Any]):
    """GitHub's own limit is six; a bake's machine ends by itself after three."""
    for job in workflow["jobs"].values():
        assert "uses" in job or job["timeout-minutes"] <= 150


def test_a_release_follows_the_tests_and_never_meets_another():
    """A push that fails them must not reach jobs. A rollback is wanted at once, and waits for no release."""
    jobs = _workflow("release")["jobs"]

    assert jobs["test"]["uses"].endswith("/.github/workflows/test.yml")
    assert "workflow_call" in _workflow("test")[True]
    assert jobs["release"]["needs"] == "test"
    groups = [jobs[name]["concurrency"] for name in ("release", "rollback")]
    assert groups == [{"group": name, "cancel-in-progress": False} for name in ("release", "rollback")]
    assert "needs" not in jobs["rollback"]


def test_terraform_is_tested_where_it_is_there_or_the_run_fails():
    """Its tests skip what they lack, and a release must not pass because of it."""
    job = _workflow("test")["jobs"]["terraform"]

    assert job["env"]["CI"] == "true"
    assert any(step.get("uses", "").startswith("hashicorp/setup-terraform@") for step in job["steps"])
    assert job["steps"][-1]["run"] == "make test-terraform"


# The registry, docker and tools/images.py, as far as the step calls them. A tag is taken once.
_STANDINS = {
    "aws": """case "$2" in
        batch-get-image) cat "${REGISTRY}/digest" 2>/dev/null || echo None ;;
        get-login-password) echo secret ;;
    esac""",
    "docker": """case "$1" in
        login) cat > /dev/null ;;
        push) [[ ! -e "${REGISTRY}/digest" ]] && echo "sha256:$2" > "${REGISTRY}/digest" ;;
    esac""",
    "python": """echo "$*" >> "${REGISTRY}/built" """,
}


def test_a_release_that_is_repeated_goes_on_with_the_image_that_it_pushed(tmp_path: Path):
    """No machine came, and somebody runs it again: ECR refuses an immutable tag also for equal bytes."""
    (step,) = (one for one in _workflow("release")["jobs"]["release"]["steps"] if one.get("id") == "image")
    for name, text in _STANDINS.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    registry = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "REGISTRY": str(tmp_path),
        "IMAGE": f"{registry}/framebatch/analysis",
        "GITHUB_SHA": "0" * 40,
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }

    for _ in range(2):
        subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], env=environment, check=True)

    image = f"{registry}/framebatch/analysis:{'0' * 40}"
    assert (tmp_path / "built").read_text() == f"tools/images.py job --release --engine docker --tag {image}\n"
    assert (tmp_path / "output").read_text() == f"digest=sha256:{image}\n" * 2


def test_what_is_released_stands_on_a_pinned_base():
    scripts = [step["run"] for step in _workflow("release")["jobs"]["release"]["steps"] if "run" in step]

    assert [script for script in scripts if "tools/images.py job --release " in script]


@pytest.mark.parametrize("event", ["push", "pull_request"])
def test_a_change_of_what_a_machine_image_is_made_of_asks_for_a_bake(event: str):
    """Whatever changes the content: a change that triggers nothing would never reach a machine."""
    bake = _workflow("bake")
    patterns = bake[True][event]["paths"]

    for path in inputs_of(REPOSITORY):
        name = str(path.relative_to(REPOSITORY))
        assert any(fnmatch(name, pattern.replace("/**", "/*")) for pattern in patterns), name
    assert bake["jobs"]["bake"]["environment"] == "machine-image"
    assert bake["jobs"]["bake"]["needs"] == "plan"
    assert "environment" not in bake["jobs"]["plan"]  # a reviewer reads it before


def test_the_manifest_of_an_image_that_could_not_be_published_is_kept(tmp_path: Path):
    """The image is there, so that no run bakes it again, and GitHub's machine goes with all that it has."""
    steps = _workflow("bake")["jobs"]["bake"]["steps"]
    (kept,) = (step for step in steps if step.get("if") == "${{ failure() }}")
    (tmp_path / ".local" / "packer").mkdir(parents=True)
    (tmp_path / ".local" / "packer" / "0123456789abcdef.json").write_text('{"abi": 1}\n')

    summary = tmp_path / "summary"
    environment = dict(os.environ) | {"GITHUB_STEP_SUMMARY": str(summary)}
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", kept["run"]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )

    (published,) = (step for step in steps if " publish " in step.get("run", ""))
    assert steps.index(kept) > steps.index(published)
    assert done.stdout == summary.read_text() == '{"abi": 1}\n'


def test_packers_plugin_is_asked_for_by_name():
    """Without a name, GitHub counts the questions of all runners behind one address, and refuses some."""
    for job in _workflow("bake")["jobs"].values():
        (fetching,) = (step for step in job["steps"] if "packer init" in step.get("run", ""))
        assert fetching["env"] == {"PACKER_GITHUB_API_TOKEN": "${{ github.token }}"}


def test_each_family_has_a_bake_of_its_own():
    """Variables of one family would be baked under another's name, or one family's bake would drop another's."""
    for job in _workflow("bake")["jobs"].values():
        assert job["strategy"]["matrix"] == {"family": "${{ fromJSON(vars.BAKE_FAMILIES || '[\"NONE\"]') }}"}
        assert job["env"]["VARIABLES"] == "${{ vars[format('BAKE_VARIABLES_{0}', matrix.family)] }}"
    assert "matrix.family" in _workflow("bake")["jobs"]["bake"]["concurrency"]["group"]


def _workflow(name: str) -> dict[Any, Any]:
    """YAML 1.1 reads the word `on` as true."""
    return yaml.safe_load((REPOSITORY / ".github" / "workflows" / f"{name}.yml").read_text())


def _steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job.get("steps", ())]
