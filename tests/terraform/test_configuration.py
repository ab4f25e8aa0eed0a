"""What is true of terraform/ without any account: its form, and `terraform test` with mocked providers."""

import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.validate import validate_parameters

from tests.terraform.running import TERRAFORM, Configuration, required, stage
from tools import terraform_docs, terraform_inputs

MODULES = sorted(folder.parent.relative_to(TERRAFORM).as_posix() for folder in TERRAFORM.rglob("tests/"))

# terraform's mocks do not know ephemeral resources, which stand in files of their own.
STUBS = {
    "modules/database/ephemeral.tf": ("new_password", "password"),
    "modules/backend/ephemeral.tf": ("new_secret_key",),
}

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def mockable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = stage(tmp_path_factory.mktemp("mocked"))
    for path, names in STUBS.items():
        text = "".join(f'  {name} = "mocked"\n' for name in names)
        (folder / path).write_text(f"locals {{\n{text}}}\n", encoding="utf-8")
    yield folder
    shutil.rmtree(folder)


def test_files_have_terraforms_form():
    required("terraform")
    assert Configuration(folder=TERRAFORM)("fmt", "-check", "-diff", "-recursive") == ""


def test_terraform_declares_what_the_contract_says():
    """`make terraform-inputs` writes it."""
    assert terraform_inputs.PATH.read_text(encoding="utf-8") == terraform_inputs.text()


def test_modules_are_documented_as_they_are():
    """`make terraform-docs` writes it."""
    written = {path: path.read_text(encoding="utf-8") for path in TERRAFORM.rglob("README.md")}
    assert written == terraform_docs.pages()


def test_every_module_has_tests():
    configured = {file.parent.relative_to(TERRAFORM).as_posix() for file in TERRAFORM.rglob("versions.tf")}
    assert set(MODULES) == configured


@pytest.mark.parametrize("module", MODULES)
def test_module_does_what_its_runs_say(mockable, module):
    """As many runs pass as there are: a run that terraform does not find would otherwise pass unseen."""
    configuration = Configuration(folder=mockable / module)
    configuration.initialise()
    said = configuration("test")
    runs = len(re.findall(r'^run "', _text(TERRAFORM / module, "tests/*.tftest.hcl"), re.MULTILINE))
    assert f"Success! {runs} passed, 0 failed." in said


@pytest.mark.parametrize("root", ["account", "environments/minimal", "environments/production"])
def test_root_is_valid_as_it_is_committed(tmp_path, root):
    configuration = Configuration(folder=stage(tmp_path) / root)
    configuration.initialise()
    assert "The configuration is valid." in configuration("validate")


# What AWS refuses as long as something else is not there, which nothing but this order says.
ORDER = {
    # "VPC vpc-... has no internet gateway"
    "module.backend.aws_lb.this": ["module.network.aws_route.internet"],
    # A task that finds no way to its image ends, and three that end are taken for a version that does not start.
    "module.backend.aws_ecs_service.worker": [
        "module.network.aws_route.internet",
        "module.network.aws_route_table_association.public",
        "module.network.aws_vpc_endpoint.interface",
        "module.backend.aws_iam_role_policy.execution",
    ],
    # "The provided execution role does not have permissions to call ReceiveMessage on SQS"
    "module.submitter.aws_lambda_event_source_mapping.requests": ["module.submitter.aws_iam_role_policy.this"],
    "module.batch.aws_batch_compute_environment.this": ["module.batch.aws_iam_role_policy.machine"],
}


def test_what_aws_asks_for_first_is_there_first(tmp_path):
    """moto takes it in any order, and on AWS it is a race that is mostly won."""
    configuration = Configuration(folder=stage(tmp_path) / "environments" / "minimal")
    configuration.initialise()
    edges = re.findall(r'^  "(.*)" -> "(.*)";$', configuration("graph"), re.MULTILINE)

    for later, earlier in ORDER.items():
        reached, ahead = set[str](), [f"module.framebatch.{later}"]
        while ahead:
            here = ahead.pop()
            ahead += [target for source, target in edges if source == here and target not in reached]
            reached.update(ahead)
        assert {f"module.framebatch.{one}" for one in earlier} <= reached, later


@pytest.mark.parametrize("module", MODULES)
def test_every_rule_of_a_variable_refuses_something(module):
    """Each rule has a sentence, and a run of its own that shows what it refuses."""
    rules = Counter[str]()
    for name, body in re.findall(
        r'^variable "(\w+)" \{\n(.*?)^\}', _text(TERRAFORM / module, "*.tf"), re.M | re.S
    ):
        sentences = re.findall(r'^    error_message = "(.*)"$', body, re.MULTILINE)
        assert len(sentences) == body.count("validation {")
        assert all(re.fullmatch(r"[A-Z$\w].*\.", sentence) for sentence in sentences), sentences
        assert 'description = "' in body, name
        rules[name] += len(sentences)
    runs = _text(TERRAFORM / module, "tests/*.tftest.hcl")
    refused = Counter(re.findall(r"expect_failures = \[var\.(\w+)\]", runs))
    assert rules <= refused


@pytest.mark.parametrize("module", MODULES)
def test_every_condition_of_what_is_looked_up_refuses_something(module):
    """What AWS has is held against what is asked of it, with a sentence and a run for each, as a variable is."""
    conditions = Counter[str]()
    for kind, name, body in re.findall(
        r'^data "(\w+)" "(\w+)" \{\n(.*?)^\}', _text(TERRAFORM / module, "*.tf"), re.M | re.S
    ):
        sentences = re.findall(r'^      error_message = "(.*)"$', body, re.MULTILINE)
        assert len(sentences) == body.count("postcondition {")
        assert all(re.fullmatch(r"[A-Z$\w].*\.", sentence) for sentence in sentences), sentences
        conditions[f"{kind}.{name}"] += len(sentences)
    runs = _text(TERRAFORM / module, "tests/*.tftest.hcl")
    refused = Counter(re.findall(r"expect_failures = \[data\.(\w+\.\w+)", runs))
    assert conditions - ON_MOTO <= refused


# What terraform's mocks cannot play: `test_private_zone_is_refused_at_plan`.
ON_MOTO = Counter({"aws_route53_zone.this": 1})


def test_idle_machines_leave_after_the_delay_that_is_set_and_at_once_when_it_is_taken_back(tmp_path, monkeypatch):
    """With a stand-in for AWS's command line, and the requests held against AWS's own description of them."""
    batch = stage(tmp_path) / "modules" / "batch"
    tests = batch / "tests" / "batch.tftest.hcl"
    whole = tests.read_text(encoding="utf-8")
    mocked, given = whole[: whole.index("variables {")], whole[whole.index("variables {") : whole.index("run ")]
    runs = "".join(
        f'run "{name}" {{\n  variables {{\n    idle_minutes = {minutes}\n  }}\n}}\n'
        for name, minutes in (("sets_the_delay", "45"), ("takes_it_back", "null"))
    )
    tests.write_text(mocked.replace("source =", f"{_MOCKED_ARNS}  source =") + given + runs, encoding="utf-8")
    said = tmp_path / "said"
    program = tmp_path / "aws"
    program.write_text(_AWS.format(python=sys.executable, said=said), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    configuration = Configuration(folder=batch)
    configuration.initialise()
    configuration("test")
    calls = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
    requests = [json.loads(words[3]) for words in calls if words[1] == "update-compute-environment"]
    delays = [request["computeResources"]["scalingPolicy"]["minScaleDownDelayMinutes"] for request in requests]
    assert delays == [45, 45, 0, 0]  # for Spot and On-Demand
    shape = boto3.client("batch").meta.service_model.operation_model("UpdateComputeEnvironment").input_shape
    for request in requests:
        validate_parameters(request, shape)
    # Until an update is over, the environment can be given to no queue and cannot be destroyed.
    asked = [words for words in calls if words[1] == "describe-compute-environments"]
    assert len(asked) == len(requests) + 1
    assert {words[3] for words in asked} == {requests[0]["computeEnvironment"]}


# Says the first time that the update is not over yet.
_AWS = """#!{python}
import json, sys
with open("{said}", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if "describe-compute-environments" in sys.argv:
    try:
        open("{said}.first", "x")
    except FileExistsError:
        print("VALID")
    else:
        print("UPDATING")
"""

_MOCKED_ARNS = """
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_iam_instance_profile" {
    defaults = { arn = "arn:aws:iam::123456789012:instance-profile/mocked" }
  }
  mock_resource "aws_batch_compute_environment" {
    defaults = { arn = "arn:aws:batch:eu-central-1:123456789012:compute-environment/mocked" }
  }
  mock_resource "aws_batch_scheduling_policy" {
    defaults = { arn = "arn:aws:batch:eu-central-1:123456789012:scheduling-policy/mocked" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
"""


def _text(folder: Path, pattern: str) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(folder.glob(pattern)))
