"""What sets the two environments apart, in the plans that a first `apply` would make."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.account import REGION
from tests.terraform.conftest import NOT_ASKED_OF_MOTO, PROVIDER_FOR_MOTO
from tests.terraform.running import TERRAFORM, Configuration, stage

pytestmark = [pytest.mark.xdist_group("terraform"), pytest.mark.timeout(900)]


class Planned:
    """Resources by type, as a plan makes them."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._resources: dict[str, dict[str, dict[str, Any]]] = {}
        self._walk(plan["planned_values"]["root_module"])

    def _walk(self, module: dict[str, Any]) -> None:
        for resource in module.get("resources", ()):
            values = resource.get("values", {})  # none where all of them are known after the apply alone
            self._resources.setdefault(resource["type"], {})[resource["address"]] = values
        for child in module.get("child_modules", ()):
            self._walk(child)

    def all(self, kind: str) -> list[dict[str, Any]]:
        return list(self._resources.get(kind, {}).values())

    def one(self, kind: str, key: str = "") -> dict[str, Any]:
        (found,) = [values for address, values in self._resources[kind].items() if key in address]
        return found


@pytest.fixture(scope="module")
def plans(
    moto_account: Any,
    images: dict[str, str],
    published_image: None,
    lambda_package: Path,
    authority: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Planned]:
    folder = stage(tmp_path_factory.mktemp("planned"), without=NOT_ASKED_OF_MOTO)
    plans = {}
    for name in ("minimal", "production"):
        environment = folder / "environments" / name
        (environment / "moto_override.tf").write_text(PROVIDER_FOR_MOTO, encoding="utf-8")
        configuration = Configuration(
            folder=environment,
            environment=moto_account.environment,
            variables={
                "region": REGION,
                "availability_zones": [f"{REGION}a", f"{REGION}b"],
                "domain_name": "video.example.org",
                "certificate_arn": f"arn:aws:acm:{REGION}:123456789012:certificate/1",
                "analysis_image": images["analysis"],
                "backend_image": images["backend"],
                "lambda_package": str(lambda_package),
                "database_ca_bundle": str(authority),
                "alarm_emails": ["operators@example.org"],
                "monthly_budget_usd": 50,
            },
        )
        configuration.initialise()
        plans[name] = Planned(configuration.plan())
    return plans


@pytest.fixture(scope="module")
def minimal(plans: dict[str, Planned]) -> Planned:
    return plans["minimal"]


@pytest.fixture(scope="module")
def production(plans: dict[str, Planned]) -> Planned:
    return plans["production"]


def test_minimal_pays_by_the_hour_for_nothing_but_what_serves(minimal):
    assert not minimal.all("aws_nat_gateway")
    assert {endpoint["vpc_endpoint_type"] for endpoint in minimal.all("aws_vpc_endpoint")} == {"Gateway"}
    assert not minimal.one("aws_db_instance")["multi_az"]
    assert [service["desired_count"] for service in minimal.all("aws_ecs_service")] == [1, 1]


def test_minimal_can_be_thrown_away(minimal):
    assert not minimal.one("aws_db_instance")["deletion_protection"]
    assert not minimal.one("aws_lb")["enable_deletion_protection"]
    assert minimal.one("aws_s3_bucket")["force_destroy"]


def test_production_outlives_a_zone_and_a_mistake(production):
    database = production.one("aws_db_instance")
    assert (database["multi_az"], database["deletion_protection"]) == (True, True)
    assert (database["backup_retention_period"], database["skip_final_snapshot"]) == (14, False)
    assert production.one("aws_lb")["enable_deletion_protection"]
    assert not production.one("aws_s3_bucket")["force_destroy"]
    assert production.one("aws_s3_bucket_versioning")["versioning_configuration"][0]["status"] == "Enabled"
    assert {secret["recovery_window_in_days"] for secret in production.all("aws_secretsmanager_secret")} == {30}
    assert [service["desired_count"] for service in production.all("aws_ecs_service")] == [2, 2]


def test_productions_jobs_reach_aws_and_the_database_alone(production):
    endpoints = {endpoint["service_name"].split(".", 3)[3] for endpoint in production.all("aws_vpc_endpoint")}
    assert endpoints == {
        "s3", "batch", "ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "logs", "secretsmanager", "sqs",
    }  # fmt: skip
    (to_internet,) = [
        rule
        for rule in production.all("aws_vpc_security_group_egress_rule")
        if rule.get("cidr_ipv4") == "0.0.0.0/0"
    ]
    assert "webhooks" in to_internet["description"]
    services = production.all("aws_ecs_service")
    assert not any(service["network_configuration"][0]["assign_public_ip"] for service in services)


@pytest.mark.parametrize("name", ["minimal", "production"])
def test_nothing_runs_while_no_video_waits_and_nothing_is_open(plans, name):
    planned = plans[name]
    for environment in planned.all("aws_batch_compute_environment"):
        (resources,) = environment["compute_resources"]
        assert resources["min_vcpus"] == 0
        assert resources["ec2_configuration"][0]["image_type"] == "ECS_AL2023_NVIDIA"
        assert len({kind.partition(".")[0] for kind in resources["instance_type"]}) >= 3
    assert planned.one("aws_db_instance")["storage_encrypted"]
    assert not planned.one("aws_db_instance")["publicly_accessible"]
    open_to_all = [
        rule["to_port"]
        for rule in planned.all("aws_vpc_security_group_ingress_rule")
        if rule.get("cidr_ipv4") == "0.0.0.0/0"
    ]
    assert sorted(open_to_all) == [80, 443]
    for bucket in planned.all("aws_s3_bucket_public_access_block"):
        assert all(bucket[name] for name in ("block_public_acls", "block_public_policy", "ignore_public_acls"))
        assert bucket["restrict_public_buckets"]


@pytest.mark.parametrize("name", ["minimal", "production"])
def test_every_log_ends_and_every_queue_is_watched(plans, name):
    planned = plans[name]
    assert all(group["retention_in_days"] for group in planned.all("aws_cloudwatch_log_group"))
    watched = {
        alarm["dimensions"]["QueueName"]
        for alarm in planned.all("aws_cloudwatch_metric_alarm")
        if "QueueName" in (alarm.get("dimensions") or {})
    }
    assert {queue["name"] for queue in planned.all("aws_sqs_queue")} == watched


def test_environments_ask_and_tell_the_same():
    """Whoever knows one knows the other: sizes are chosen in main.tf, and here a tag alone differs."""
    folders = [TERRAFORM / "environments" / name for name in ("minimal", "production")]
    for file in ("variables.tf", "outputs.tf"):
        one, other = ((folder / file).read_text(encoding="utf-8") for folder in folders)
        assert one == other, file
    one, other = ((folder / "versions.tf").read_text(encoding="utf-8") for folder in folders)
    assert one.replace('Environment = "minimal"', 'Environment = "production"') == other
    assert [sorted(path.name for path in folder.glob("*.tf")) for folder in folders] == [_FILES, _FILES]
    passed = [
        dict(re.findall(r"^  (\w+) += (var\.\w+|true|false|\d+)$", text, re.MULTILINE))
        for text in ((folder / "main.tf").read_text(encoding="utf-8") for folder in folders)
    ]
    assert {name for name in passed[0] if passed[0][name] != passed[1].get(name)} == MAY_DIFFER
    assert passed[0].keys() == passed[1].keys()


_FILES = ["main.tf", "outputs.tf", "variables.tf", "versions.tf"]
MAY_DIFFER = {"deletion_protection", "log_retention_days"}  # of what is not grouped by parts
