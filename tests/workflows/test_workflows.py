"""The workflows on GitHub: what they may do, and that nothing in them moves by itself."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

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
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]

    assert used
    assert not [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name)]


def test_rights_are_given_job_by_job(workflow: dict[Any, Any]):
    """And only a job that stands behind an environment may ask who it is at AWS."""
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]["contents"] == "read"
        assert set(job["permissions"]) <= ({"contents", "id-token"} if "environment" in job else {"contents"})


def test_every_line_of_their_scripts_is_bash(workflow: dict[Any, Any]):
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            subprocess.run(["bash", "-n"], input=step.get("run", ""), text=True, check=True, env=dict(os.environ))


def test_a_change_of_what_a_machine_image_is_made_of_asks_for_a_bake():
    bake = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "bake.yml").read_text())

    # YAML 1.1 reads the word `on` as true.
    assert set(bake[True]["push"]["paths"]) == {"models/models.lock.json", "packer/**"}
    assert bake["jobs"]["bake"]["environment"] == "machine-image"
