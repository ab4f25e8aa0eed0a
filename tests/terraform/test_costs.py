"""The costs are those of what Terraform declares."""

import re
import shutil
from collections.abc import Mapping
from typing import Any

import pytest

from costs.bills import LAMBDA_GB, SERVICES
from costs.environments import ENVIRONMENTS, Environment, Service
from costs.inputs import Machine
from tests.terraform.iam.permissions import walked
from tests.terraform.running import TERRAFORM, Configuration

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("terraform"), pytest.mark.timeout(900)]

KNOWN = {environment.name: environment for environment in ENVIRONMENTS}


class Declared:
    """The resources of an environment, applied or planned."""

    def __init__(self, root_module: Mapping[str, Any]) -> None:
        self._resources = [one for one in walked(root_module) if one["mode"] == "managed"]

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        return [one["values"] for one in self._resources if one["type"] == kind]

    def environment(self, name: str) -> Environment:
        (database,) = self.of("aws_db_instance")
        services = self.of("aws_ecs_service")
        networks = [one["network_configuration"][0] for one in services]
        zones = len(self.of("aws_subnet")) // 2  # one public, one private in each
        balancers, tasks = len(self.of("aws_lb")), sum(one["desired_count"] for one in services)
        reached = tasks if any(network["assign_public_ip"] for network in networks) else 0
        endpoints = [one for one in self.of("aws_vpc_endpoint") if one["vpc_endpoint_type"] == "Interface"]
        alarms = self.of("aws_cloudwatch_metric_alarm")
        metrics = [sum(bool(query["metric"]) for query in alarm["metric_query"] or ()) or 1 for alarm in alarms]
        (lifecycle,) = self.of("aws_s3_bucket_lifecycle_configuration")
        (old_versions,) = [days for rule in lifecycle["rule"] for days in rule["noncurrent_version_expiration"]]
        (versioning,) = self.of("aws_s3_bucket_versioning")
        versioned = versioning["versioning_configuration"][0]["status"] == "Enabled"
        (cluster,) = self.of("aws_ecs_cluster")
        heard = self.of("aws_cloudwatch_log_metric_filter")
        text = (TERRAFORM / "environments" / name / "main.tf").read_text(encoding="utf-8")
        idle = re.search(r"^ *idle_minutes *= (\d+)$", text, re.MULTILINE)
        return Environment(
            name=name,
            database=f"rds_{database['instance_class'].replace('.', '_')}_hour",
            database_zones=2 if database["multi_az"] else 1,
            database_gib=database["allocated_storage"],
            database_max_gib=database["max_allocated_storage"],
            api=self._service("api"),
            worker=self._service("worker"),
            public_addresses=balancers * zones + reached + len(self.of("aws_eip")),
            nat_gateways=len(self.of("aws_nat_gateway")),
            interface_endpoints=len(endpoints) * zones,
            zones=zones,
            machines_have_addresses=any(one["map_public_ip_on_launch"] for one in self.of("aws_subnet")),
            old_version_days=old_versions["noncurrent_days"] if versioned else 0,
            backup_days=database["backup_retention_period"],
            container_insights=cluster["setting"][0]["value"] == "enabled",
            secrets=len(self.of("aws_secretsmanager_secret")),
            alarm_metrics=sum(metrics),
            log_metrics=len({one["metric_transformation"][0]["name"] for one in heard}),
            dashboards=len(self.of("aws_cloudwatch_dashboard")),
            spot_max_vcpus=self._max_vcpus("SPOT"),
            on_demand_max_vcpus=self._max_vcpus("EC2"),
            idle_minutes=float(idle.group(1)) if idle else None,
        )

    def _max_vcpus(self, kind: str) -> int:
        environments = (one["compute_resources"][0] for one in self.of("aws_batch_compute_environment"))
        (found,) = (one["max_vcpus"] for one in environments if one["type"] == kind)
        return int(found)

    def _service(self, name: str) -> Service:
        (service,) = (one for one in self.of("aws_ecs_service") if one["name"] == name)
        (task,) = (one for one in self.of("aws_ecs_task_definition") if one["family"].endswith(f"-{name}"))
        return Service(
            tasks=service["desired_count"], vcpus=int(task["cpu"]) / 1024, gb=int(task["memory"]) / 1024
        )

    def hold_against(self, machine: Machine) -> None:
        """What the designs are compared with starts as the fleet's machines do."""
        (template,) = self.of("aws_launch_template")
        (device,) = template["block_device_mappings"]
        (volume,) = device["ebs"]
        assert volume["volume_size"] == machine.volume_gib
        assert volume["throughput"] == machine.volume_mibps
        assert volume["volume_initialization_rate"] == machine.initialization_mibps
        for environment in self.of("aws_batch_compute_environment"):
            assert machine.instance in environment["compute_resources"][0]["instance_type"]
        (function,) = self.of("aws_lambda_function")
        assert (function["architectures"], function["memory_size"]) == (["arm64"], LAMBDA_GB * 1024)
        assert len(self.of("aws_ecs_service")) == SERVICES


def test_minimal_costs_what_it_keeps(applied: Any):
    declared = Declared(applied.state["values"]["root_module"])

    assert declared.environment("minimal") == KNOWN["minimal"]
    declared.hold_against(Machine())


def test_production_costs_what_it_keeps(applied: Any, staged: Any):
    folder = staged / "environments" / "production"
    shutil.copy(staged / "environments" / "minimal" / "moto_override.tf", folder)
    configuration = Configuration(
        folder=folder, environment=applied.account.environment, variables=applied.configuration.variables
    )
    configuration.initialise()

    declared = Declared(configuration.plan()["planned_values"]["root_module"])

    assert declared.environment("production") == KNOWN["production"]
    declared.hold_against(Machine())
