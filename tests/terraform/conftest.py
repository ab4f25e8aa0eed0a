import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from contract.manifest import RUNTIME_ABI
from local.ports import HOST, listening_on
from tests.terraform.authorities import Authority
from tests.terraform.census import census
from tests.terraform.iam.permissions import walked
from tests.terraform.running import REPOSITORY, Configuration, required, stage
from tools import lambda_zip

REGION = "us-east-1"
DOMAIN = "video.example.org"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MAIL_URL = "smtps://user:password@mail.example.org/no-reply@example.org"

# What moto does not have. Each of these files holds nothing else, and terraform's own mocks check them.
NOT_ASKED_OF_MOTO = ("orderable.tf", "endpoint_services.tf")
NOT_IN_MOTO = (*NOT_ASKED_OF_MOTO, "redrive_allow.tf", "autoscaling.tf", "budget.tf")

PROVIDER_FOR_MOTO = """
provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
  max_retries                 = 2
}
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """An AWS account that moto plays, and how terraform and boto3 reach it."""

    endpoint: str
    environment: dict[str, str]

    def client(self, service: str) -> Any:
        return boto3.Session(
            aws_access_key_id="terraform", aws_secret_access_key="terraform", region_name=REGION
        ).client(service, endpoint_url=self.endpoint)


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """The environment `minimal` as it was applied: `state` is `terraform show -json`."""

    account: Account
    configuration: Configuration
    state: dict[str, Any]
    outputs: dict[str, Any]
    before: dict[str, set[str]]  # the census of the account

    def types(self) -> set[str]:
        return {one["type"] for one in walked(self.state["values"]["root_module"]) if one["mode"] == "managed"}

    def resources(self, kind: str) -> dict[str, dict[str, Any]]:
        """Values of the resources of one type, by address."""
        return {
            resource["address"]: dict(resource["values"])
            for resource in walked(self.state["values"]["root_module"])
            if resource["mode"] == "managed" and resource["type"] == kind
        }

    def policies(self, role: str) -> list[dict[str, Any]]:
        """The rendered policies of a role, named as in the output `role_names`."""
        name = self.outputs["role_names"][role]
        attached = self.resources("aws_iam_role_policy").values()
        return [json.loads(values["policy"]) for values in attached if values["role"] == name]


@pytest.fixture(scope="session")
def lambda_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make lambda-zip` makes."""
    path = tmp_path_factory.mktemp("package") / "lambda_sqs_to_batch.zip"
    lambda_zip.build(path)
    return path


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates as RDS has them."""
    path = tmp_path_factory.mktemp("authority") / "bundle.pem"
    path.write_bytes(Authority.make().pem)
    return path


@pytest.fixture(scope="session")
def moto_account() -> Iterator[Account]:
    """A moto server of its own: a process, since terraform talks to it from many threads at a time."""
    listening = listening_on(0)
    endpoint = f"http://{HOST}:{listening.getsockname()[1]}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "terraform",
        "AWS_SECRET_ACCESS_KEY": "terraform",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    with listening:
        server = subprocess.Popen(
            [sys.executable, "-m", "local.aws_server", "--fd", str(listening.fileno())],
            env=os.environ | environment | {"MOTO_ACM_VALIDATION_WAIT": "0", "PYTHONPATH": str(REPOSITORY)},
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    try:
        with httpx.Client(base_url=endpoint, trust_env=False, timeout=120) as http:  # it takes a while to start
            without_docker = {"batch": {"use_docker": False}, "lambda": {"use_docker": False}}
            http.post("/moto-api/config", json=without_docker).raise_for_status()
        yield Account(endpoint=endpoint, environment=environment)
    finally:
        server.kill()  # it keeps nothing, and a busy one would take its time
        server.wait(60)


@pytest.fixture(scope="session")
def published_image(moto_account: Account) -> None:
    """What `python -m packer.packer_py_wrapper publish` leaves in Systems Manager."""
    manifest = (REPOSITORY / "tests" / "backend" / "manifest.json").read_text(encoding="utf-8")
    ssm = moto_account.client("ssm")
    for name, value in (("image-id", "ami-12c6146b"), ("manifest", manifest)):
        ssm.put_parameter(Name=f"/framebatch/runtime/{RUNTIME_ABI}/g6/{name}", Value=value, Type="String")


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """terraform/ without what moto does not have, and with a provider that believes moto."""
    required("terraform")
    folder = stage(tmp_path_factory.mktemp("applied"), without=NOT_IN_MOTO)
    for root in ("account", "environments/minimal"):
        (folder / root / "moto_override.tf").write_text(PROVIDER_FOR_MOTO, encoding="utf-8")
    return folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What an operator has before, and keeps afterwards."""

    hosted_zone_id: str
    mail_url_secret_arn: str


@pytest.fixture(scope="session")
def given(moto_account: Account) -> Given:
    # moto spells the service's own role in its way, and AWS Batch asks for it by AWS's name.
    moto_account.client("iam").create_role(
        Path="/aws-service-role/batch.amazonaws.com/",
        RoleName="AWSServiceRoleForBatch",
        AssumeRolePolicyDocument="{}",
    )
    zone = moto_account.client("route53").create_hosted_zone(Name="example.org", CallerReference="tests")
    mail = moto_account.client("secretsmanager").create_secret(Name="framebatch/mail-url", SecretString=MAIL_URL)
    return Given(hosted_zone_id=zone["HostedZone"]["Id"].rpartition("/")[2], mail_url_secret_arn=mail["ARN"])


@pytest.fixture(scope="session")
def untouched(moto_account: Account, given: Given) -> dict[str, set[str]]:
    """The census of the account before anything is applied."""
    return census(moto_account.client)


@pytest.fixture(scope="session")
def applied_account(moto_account: Account, untouched: dict[str, set[str]], staged: Path) -> Configuration:
    """`terraform/account`, applied."""
    configuration = Configuration(
        folder=staged / "account",
        environment=moto_account.environment,
        variables={
            "region": REGION,
            "missing_service_roles": ["spot"],  # `given` has the other
            "force_delete": True,
            "github": {"repository": "example/framebatch", "bake_clip_arn": "arn:aws:s3:::clips/street.mp4"},
        },
    )
    configuration.initialise()
    configuration.apply()
    return configuration


@pytest.fixture(scope="session")
def images(moto_account: Account, applied_account: Configuration) -> dict[str, str]:
    """What was pushed to the repositories of `terraform/account`; of the backend, the next image too."""
    ecr = moto_account.client("ecr")
    repositories = applied_account.outputs()["repository_urls"]
    for part, tag in (("analysis", "0123abc"), ("backend", "0123abc"), ("backend", "0123abc-next")):
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"digest": tag}}
        ecr.put_image(
            repositoryName=repositories[part].partition("/")[2], imageTag=tag, imageManifest=json.dumps(manifest)
        )
    return {part: f"{url}:0123abc" for part, url in repositories.items()}


@pytest.fixture(scope="session")
def applied(
    moto_account: Account,
    images: dict[str, str],
    published_image: None,
    staged: Path,
    lambda_package: Path,
    authority: Path,
    given: Given,
) -> Applied:
    """`terraform/environments/minimal`, applied once for all tests."""
    configuration = Configuration(
        folder=staged / "environments" / "minimal",
        environment=moto_account.environment,
        variables={
            "region": REGION,
            "availability_zones": [f"{REGION}a", f"{REGION}b"],
            "domain_name": DOMAIN,
            "hosted_zone_id": given.hosted_zone_id,
            "analysis_image": images["analysis"],
            "backend_image": images["backend"],
            "lambda_package": str(lambda_package),
            "database_ca_bundle": str(authority),
            "mail": {"url_secret_arn": given.mail_url_secret_arn, "port": 465},
            "alarm_emails": ["operators@example.org"],
            "monthly_budget_usd": 50,
        },
    )
    configuration.initialise()
    before = census(moto_account.client)
    configuration.apply()
    return Applied(
        account=moto_account,
        configuration=configuration,
        state=configuration.state(),
        outputs=configuration.outputs(),
        before=before,
    )
