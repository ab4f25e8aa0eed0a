"""GitHub's workflows may do what they do, and nothing else; each role is taken by one environment alone."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from contract.manifest import RUNTIME_ABI
from packer.packer_py_wrapper import __main__ as wrapper
from packer.packer_py_wrapper.content import content_of
from tests.terraform import baking
from tests.terraform.account import REGION
from tests.terraform.iam.gate import CallRefused, Gate
from tests.terraform.iam.github_calls import declared, of_packer
from tests.terraform.iam.permissions import Permissions
from tests.terraform.iam.policies import Call
from tests.terraform.iam.reference import faults
from tests.terraform.running import REPOSITORY
from tools import release

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("terraform"), pytest.mark.timeout(900)]

ACCOUNT = "123456789012"
TRUSTED = {"release": ("release.yml", "production"), "bake": ("bake.yml", "machine-image")}
MANIFEST = REPOSITORY / "tests" / "backend" / "manifest.json"

# Grants that no step here needs, and the reason why they stay: the plugin that bake.yml installs is newer than the
# packer that is at hand, and a bake may name a subnet.
KEPT = {
    "ec2:DescribeInstanceStatus": "the newer plugin waits for it",
    "ec2:DescribeSubnets": "where the bake names a subnet",
    "ec2:DescribeTags": "the newer plugin looks whether its tags are there",
    "ec2:DescribeVpcs": "the newer plugin looks for the network of a subnet",
    "ec2:ModifyImageAttribute": "imds_support, which packer 1.6 does not know",
    "ec2:CreateTags key-pair": "the newer plugin tags it",
    "ec2:CreateTags network-interface": "the newer plugin tags it",
    "ec2:CreateTags security-group": "the newer plugin tags it",
    "ec2:CreateTags volume": "the newer plugin tags it",
}


@pytest.fixture(scope="module")
def permissions(applied_account: Any) -> Permissions:
    return Permissions.from_show(applied_account.state())


@pytest.fixture
def gate(permissions: Permissions, applied: Any) -> Gate:
    roles = permissions.outputs["github_role_arns"]
    return Gate(
        parts={part: permissions.part(part, arn.rpartition("/")[2]) for part, arn in roles.items()},
        of_resources=[],
        declarations=declared(REGION, ACCOUNT, tags_of(applied)),
    )


@pytest.fixture(autouse=True)
def account(applied: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in applied.account.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def published(applied: Any) -> Iterator[None]:
    """What is published is put back, for Terraform reads it."""
    ssm = applied.account.client("ssm")
    before = ssm.get_parameters_by_path(Path="/framebatch/runtime", Recursive=True)["Parameters"]
    yield
    for one in before:
        ssm.put_parameter(Name=one["Name"], Value=one["Value"], Type="String", Overwrite=True)


def tags_of(applied: Any) -> Callable[[str], Mapping[str, str]]:
    ec2 = applied.account.client("ec2")

    def tags(identifier: str) -> Mapping[str, str]:
        found = ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [identifier]}])["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    return tags


def test_each_role_is_taken_by_one_environment_of_one_repository(permissions: Permissions):
    issuer = "token.actions.githubusercontent.com"
    for part, (_, environment) in TRUSTED.items():
        name = permissions.outputs["github_role_arns"][part].rpartition("/")[2]
        (role,) = (one for one in permissions.of("aws_iam_role") if one["name"] == name)
        (statement,) = json.loads(role["assume_role_policy"])["Statement"]
        assert statement == {
            "Effect": "Allow",
            "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{issuer}"},
            "Condition": {
                "StringEquals": {
                    f"{issuer}:aud": "sts.amazonaws.com",
                    f"{issuer}:sub": f"repo:example/framebatch:environment:{environment}",
                }
            },
        }


@pytest.mark.parametrize("part", TRUSTED)
def test_workflows_ask_from_the_environment_that_is_trusted(part: str):
    """Where a job may ask GitHub who it is, it does so as that environment, behind its reviewers."""
    file, environment = TRUSTED[part]
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / file).read_text(encoding="utf-8"))
    asking = [one for one in workflow["jobs"].values() if one.get("permissions", {}).get("id-token") == "write"]
    assert asking
    assert {job["environment"] for job in asking} == {environment}


def test_no_policy_is_wider_than_aws_lets_it_be(gate: Gate):
    assert list(faults(one for part in gate.parts.values() for one in part.statements)) == []


def test_workflows_run_within_their_roles_and_use_all_they_grant(
    gate: Gate, applied: Any, published: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with gate.open():
        released_and_taken_back(gate, applied)
        baked_and_pruned(gate, applied, tmp_path)
    pushed(gate, applied)
    gate.ask("bake", Call(action="s3:GetObject", resource="arn:aws:s3:::clips/street.mp4"))

    assert gate.refused == []
    unused = {(grant.action, grant.resource.rpartition(":")[2].partition("/")[0]) for _, grant in gate.unused()}
    assert {action if f"{action} {kind}" not in KEPT else f"{action} {kind}" for action, kind in unused} == set(
        KEPT
    )


def released_and_taken_back(gate: Gate, applied: Any) -> None:
    queue = applied.outputs["job_queues"]["standard"].rpartition("/")[2]
    before = applied.outputs["job_definition"]
    registry = json.loads(applied.resources("aws_batch_job_definition").popitem()[1]["container_properties"])
    image = f"{registry['image'].partition(':')[0]}@sha256:{'0' * 64}"
    with gate.acting_as("release"):
        assert release.main(["--image", image, "--queue", queue, "--dry-run"]) == 0
        assert release.main(["--image", image, "--queue", queue]) == 0
        assert release.main(["--rollback"]) == 0
    job = trial(applied, queue)
    with gate.acting_as("release"):
        boto3.client("batch").terminate_job(jobId=job, reason="the release waits no longer")
    batch = applied.account.client("batch")
    names = {one["jobDefinitionArn"] for one in batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]}
    assert names == {before}


def trial(applied: Any, queue: str) -> str:
    (job,) = applied.account.client("batch").list_jobs(
        jobQueue=queue, filters=[{"name": "JOB_NAME", "values": ["release-check"]}]
    )["jobSummaryList"]
    return str(job["jobId"])


def baked_and_pruned(gate: Gate, applied: Any, folder: Path) -> None:
    """Two images, of which the older goes; the newer is published."""
    variables = folder / "gpu.pkrvars.hcl"
    variables.write_text("# of nothing\n", encoding="utf-8")

    def hear(query: Mapping[str, str]) -> None:
        for call in of_packer(query, REGION, ACCOUNT, tags_of(applied)):
            gate.ask("bake", call)

    made = []
    with baking.heard(applied.account.endpoint, hear) as endpoint:
        for content in ("0123456789abcdef", content_of(REPOSITORY, variables)):
            (folder / content).mkdir()
            said = baking.bake(folder / content, endpoint, content=content, region=REGION)
            made.append(baking.image_of(said))
    applied.account.client("ec2").create_tags(
        Resources=made, Tags=[{"Key": "framebatch:runtime-abi", "Value": str(RUNTIME_ABI)}]
    )
    with gate.acting_as("bake"):
        assert wrapper.main(["build", "--variables", str(variables)]) == 0
        assert wrapper.main(["publish", "--variables", str(variables), "--manifest", str(MANIFEST)]) == 0
        assert wrapper.main(["prune", "--keep", "1"]) == 0
    left = applied.account.client("ec2").describe_images(Owners=["self"])["Images"]
    assert [image["ImageId"] for image in left] == made[1:]


def pushed(gate: Gate, applied: Any) -> None:
    """What `docker push` asks of ECR, by "Amazon ECR IAM permissions for pushing an image"."""
    account = applied.account.client("ecr").describe_repositories()["repositories"]
    (repository,) = (one["repositoryArn"] for one in account if one["repositoryName"].endswith("/analysis"))
    gate.ask("release", Call(action="ecr:GetAuthorizationToken", resource="*"))
    for action in (
        "BatchCheckLayerAvailability",
        "BatchGetImage",
        "CompleteLayerUpload",
        "InitiateLayerUpload",
        "PutImage",
        "UploadLayerPart",
    ):
        gate.ask("release", Call(action=f"ecr:{action}", resource=repository))


def test_a_release_starts_nothing_from_what_users_jobs_start_from(gate: Gate, applied: Any):
    queue = applied.outputs["job_queues"]["standard"]
    with gate.open(), gate.acting_as("release"), pytest.raises(CallRefused, match="may not batch:SubmitJob"):
        boto3.client("batch").submit_job(
            jobName="other", jobQueue=queue, jobDefinition=applied.outputs["job_definition"]
        )


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("AuthorizeSecurityGroupIngress", f"{ACCOUNT}:security-group/sg-1"),
        ("DeleteSecurityGroup", f"{ACCOUNT}:security-group/sg-1"),
        ("RunInstances", f"{ACCOUNT}:security-group/sg-1"),
        ("ModifyImageAttribute", ":image/ami-1"),
        ("DeregisterImage", ":image/ami-1"),
        ("DeleteSnapshot", ":snapshot/snap-1"),
    ],
)
def test_a_bake_changes_no_group_and_no_image_that_it_has_not_made(gate: Gate, action: str, resource: str):
    call = Call(action=f"ec2:{action}", resource=f"arn:aws:ec2:{REGION}:{resource}")
    with pytest.raises(CallRefused):
        gate.ask("bake", call)
    gate.ask("bake", replace(call, context={"aws:ResourceTag/framebatch:content": "0123456789abcdef"}))


def test_a_bake_makes_no_image_its_own_by_tagging_it(gate: Gate):
    context = {"aws:RequestTag/framebatch:content": "0123456789abcdef"}
    call = Call(action="ec2:CreateTags", resource=f"arn:aws:ec2:{REGION}::image/ami-1", context=context)
    with pytest.raises(CallRefused):
        gate.ask("bake", call)
    gate.ask("bake", replace(call, context=context | {"ec2:CreateAction": "CreateImage"}))


def test_a_bake_ends_no_machine_that_it_has_not_made(gate: Gate):
    machine = Call(action="ec2:TerminateInstances", resource=f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1")
    with pytest.raises(CallRefused):
        gate.ask("bake", machine)
    gate.ask("bake", replace(machine, context={"aws:ResourceTag/framebatch:content": "0123456789abcdef"}))
