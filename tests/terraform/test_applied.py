"""The environment `minimal`, applied for real on moto, is what the product needs."""

import asyncio
import json
import re
from base64 import b64decode
from email import message_from_bytes
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.validate import validate_parameters
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from backend.config.environment import Environment
from contract.jobs import SCRATCH_FOLDER, job_definition
from contract.plans import SHARES
from lambda_sqs_to_batch.settings import Settings
from tests.terraform.account import REGION
from tests.terraform.conftest import DOMAIN
from tests.terraform.running import TERRAFORM, Configuration, run_with_all_it_starts

pytestmark = [pytest.mark.xdist_group("terraform"), pytest.mark.timeout(900)]

# What moto tells otherwise than it was told, so that a second plan would write it again: type and path, and moto's
# fault. AWS tells each of these as it was written. Whatever else a second plan would change is a fault of ours.
MISREAD = {
    ("aws_batch_compute_environment", "update_policy"): "not kept",
    ("aws_batch_compute_environment", "compute_resources.launch_template.version"): "follows the template's below",
    ("aws_batch_job_queue", "job_state_time_limit_action"): "not kept",
    ("aws_db_parameter_group", "parameter"): "the values are not told",
    ("aws_ecs_service", "availability_zone_rebalancing"): "not kept",
    ("aws_ecs_service", "health_check_grace_period_seconds"): "not kept",
    ("aws_lambda_function", "logging_config"): "not kept",
    ("aws_launch_template", "tag_specifications"): "the template's own tags are told as those of what it starts",
    ("aws_launch_template", "default_version"): "follows the tags",
    ("aws_launch_template", "latest_version"): "follows the tags",
    ("aws_sqs_queue", "redrive_policy"): "told with spaces between its words",
    ("aws_sqs_queue_policy", "policy"): "rendered again, since the queue seems to change",
    ("aws_vpc_security_group_egress_rule", "description"): "not kept where a rule names another group",
    ("aws_vpc_security_group_ingress_rule", "description"): "not kept where a rule names another group",
}


def test_second_plan_changes_nothing_but_what_moto_misreads(applied):
    changed = [
        change
        for change in applied.configuration.plan()["resource_changes"]
        if change["mode"] == "managed" and change["change"]["actions"] != ["no-op"]
    ]
    assert {tuple(change["change"]["actions"]) for change in changed} == {("update",)}
    found = {(change["type"], path) for change in changed for path in _differing(change["change"])}
    assert found == set(MISREAD)


def test_private_zone_is_refused_at_plan(applied):
    """terraform's mocks cannot play one."""
    ec2, route53 = applied.account.client("ec2"), applied.account.client("route53")
    vpc = ec2.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    zone = route53.create_hosted_zone(
        Name="example.org",
        CallerReference="private",
        VPC={"VPCRegion": REGION, "VPCId": vpc},
        HostedZoneConfig={"PrivateZone": True},
    )["HostedZone"]["Id"].rpartition("/")[2]
    try:
        planned = applied.configuration.run("plan", "-refresh=false", f"-var=hosted_zone_id={zone}")
    finally:
        route53.delete_hosted_zone(Id=zone)
        ec2.delete_vpc(VpcId=vpc)
    assert planned.returncode == 1
    assert "The zone of the hosted_zone_id is private" in " ".join(planned.stderr.split())


def test_images_and_secrets_that_are_not_there_are_refused_at_plan(applied, images):
    """terraform's mocks find whatever they are asked for."""
    unknown = "arn:aws:secretsmanager:us-east-1:123456789012:secret:framebatch/mail-url-AbCdEf"
    mail = json.dumps({"url_secret_arn": unknown})
    planned = applied.configuration.run(
        "plan",
        "-refresh=false",
        f"-var=analysis_image={images['analysis']}-unpushed",
        f"-var=mail={mail}",
    )
    assert planned.returncode == 1
    said = " ".join(planned.stderr.replace("\n", "").split())
    assert f'data.aws_ecr_image.pushed["{images["analysis"]}-unpushed"]' in said
    assert f"Secrets Manager Secret ({unknown}): couldn't find resource" in said


def test_state_lies_where_the_example_says(applied_account, applied, tmp_path):
    """With the bucket that terraform/account made, locked while it is written, and settings for moto alone."""
    example = (TERRAFORM / "environments" / "state.tf.example").read_text(encoding="utf-8")
    bucket = applied_account.outputs()["state_bucket"]
    named = re.fullmatch(r"(.+)-(\d{12})-(.+)", re.findall(r'bucket +?= "(.+)"', example)[0])
    assert named
    assert bucket == f"{named[1]}-123456789012-{REGION}"
    (tmp_path / "state.tf").write_text(example, encoding="utf-8")
    (tmp_path / "main.tf").write_text('output "told" {\n  value = "once"\n}\n', encoding="utf-8")
    configuration = Configuration(folder=tmp_path, environment=applied.account.environment)
    own = (f"bucket={bucket}", f"region={REGION}", *(f"{name}=true" for name in _FOR_MOTO))
    configuration("init", *(f"-backend-config={setting}" for setting in own))
    configuration.apply()
    s3 = applied.account.client("s3")
    (key,) = re.findall(r'key +?= "(.+)"', example)
    try:
        assert (
            json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())["outputs"]["told"]["value"] == "once"
        )
        assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]  # the lock is gone
    finally:
        left = s3.list_object_versions(Bucket=bucket)
        for one in (*left.get("Versions", ()), *left.get("DeleteMarkers", ())):
            s3.delete_object(Bucket=bucket, Key=one["Key"], VersionId=one["VersionId"])


_FOR_MOTO = (
    "use_path_style",
    "skip_credentials_validation",
    "skip_requesting_account_id",
    "skip_metadata_api_check",
)


def test_api_and_worker_start_with_the_environment_they_are_given(applied):
    """What comes from Secrets Manager is added by ECS under the names in the task's definition."""
    for program, container in _containers(applied):
        given = {one["name"]: one["value"] for one in container["environment"]}
        secrets = {one["name"]: _secret(applied, one["valueFrom"]) for one in container["secrets"]}
        assert given == applied.outputs["backend_environments"][program]
        environment = Environment.from_environ(given | secrets)
        assert environment.allowed_hosts == (DOMAIN,)
        assert environment.https
        assert not environment.debug
        assert environment.database["OPTIONS"] == {
            "sslmode": "verify-full",
            "sslrootcert": "/tmp/database-ca.pem",
        }
        assert (environment.mail is not None) == (program == "api")
        assert environment.webhook_ports == (443,)
        assert (environment.database["PASSWORD"], len(secrets["PGPASSWORD"])) == ("", 40)


def test_what_a_task_reads_as_files_is_laid_out_before_its_program_starts(applied, authority, tmp_path):
    """The container's own entry point, run in a folder that takes the place of /tmp."""
    for _, container in _containers(applied):
        shell, flag, script, name = container["entryPoint"]
        given = {one["name"]: one["value"] for one in container["environment"]}
        done = run_with_all_it_starts(
            [shell, flag, script.replace("/tmp/", f"{tmp_path}/"), name, "printenv", "RUNTIME_MANIFEST"],
            seconds=60,
            environment=given,
        )
        assert done.stdout.strip() == given["RUNTIME_MANIFEST"], done.stderr
        laid_out = {path.name: path.read_text(encoding="utf-8").strip() for path in tmp_path.iterdir()}
        assert laid_out == {
            "manifest.json": given["MANIFEST"].strip(),
            "database-ca.pem": authority.read_text(encoding="utf-8").strip(),
        }


def test_machine_lays_the_authorities_certificates_out_for_jobs(applied, authority, tmp_path):
    """The script of its user data, run with a folder in the place of the machine's."""
    (template,) = applied.resources("aws_launch_template").values()
    (part,) = message_from_bytes(b64decode(template["user_data"])).get_payload()
    (tmp_path / "etc" / "ecs").mkdir(parents=True)
    (tmp_path / "opt" / "runtime").mkdir(parents=True)
    script = part.get_payload().replace(" /etc/", f" {tmp_path}/etc/").replace(" /opt/", f" {tmp_path}/opt/")
    done = run_with_all_it_starts(["bash", "-euc", script], seconds=60)
    assert done.returncode == 0, done.stderr
    job = {one["name"]: one["value"] for one in _job(applied)["environment"]}
    options = dict(parse_qsl(urlsplit(job["DATABASE_URL"]).query))
    assert options == {"sslmode": "verify-full", "sslrootcert": "/opt/runtime/database-ca.pem"}
    read = (tmp_path / options["sslrootcert"].lstrip("/")).read_text(encoding="utf-8")
    assert read.strip() == authority.read_text(encoding="utf-8").strip()
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in (tmp_path / "etc" / "ecs" / "ecs.config").read_text()
    (mounted,) = [one for one in _job(applied)["mountPoints"] if one["containerPath"] == "/opt/runtime"]
    assert mounted["readOnly"]


def test_tables_of_the_next_image_can_be_made_before_its_code_serves(applied):
    """One apply changes the task that migrates, and nothing that serves."""
    (image,) = {container["image"] for _, container in _containers(applied)}
    changed = {
        change["address"]: json.loads(change["change"]["after"]["container_definitions"])[0]["image"]
        for change in applied.configuration.plan(migrate_image=f"{image}-next")["resource_changes"]
        if change["type"] == "aws_ecs_task_definition" and change["change"]["actions"] != ["no-op"]
    }
    (address,) = [one for one in applied.resources("aws_ecs_task_definition") if '["migrate"]' in one]
    assert changed == {address: f"{image}-next"}


def test_users_are_told_apart_by_what_the_load_balancers_subnets_say(applied):
    """Of the addresses that a request claims to come from, the one that the load balancer saw counts."""
    command = dict(_containers(applied))["api"]["command"]
    trusted = command[command.index("--forwarded-allow-ips") + 1]
    (balancer,) = applied.resources("aws_lb").values()
    subnets = applied.account.client("ec2").describe_subnets(SubnetIds=balancer["subnets"])["Subnets"]
    assert set(trusted.split(",")) == {subnet["CidrBlock"] for subnet in subnets}
    inside = next(ip_network(subnet["CidrBlock"]).network_address + 5 for subnet in subnets)
    for claimed in ("", "10.40.0.9, ", "203.0.113.9, "):
        assert _client(trusted, str(inside), f"{claimed}198.51.100.7") == "198.51.100.7"
    (database,) = {
        subnet["CidrBlock"]
        for subnet in applied.account.client("ec2").describe_subnets(
            SubnetIds=next(iter(applied.resources("aws_db_subnet_group").values()))["subnet_ids"][:1]
        )["Subnets"]
    }
    neighbour = str(ip_network(database).network_address + 5)
    assert _client(trusted, neighbour, "198.51.100.7") == neighbour
    kept = int(command[command.index("--timeout-keep-alive") + 1])
    assert kept > balancer["idle_timeout"], "the API would close a connection that the load balancer still uses"


def test_mail_and_webhooks_leave_by_the_ports_that_were_asked_for(applied):
    (group,) = [
        one for address, one in applied.resources("aws_security_group").items() if '["backend"]' in address
    ]
    rules = applied.account.client("ec2").describe_security_group_rules(
        Filters=[{"Name": "group-id", "Values": [group["id"]]}]
    )["SecurityGroupRules"]
    to_internet = {rule["ToPort"] for rule in rules if rule["IsEgress"] and rule.get("CidrIpv4") == "0.0.0.0/0"}
    assert to_internet == {443, 465}


def test_lambda_starts_with_the_environment_it_is_given(applied):
    settings = Settings.from_environ(applied.outputs["submitter_environment"])
    queues = applied.outputs["job_queues"]
    assert {kind: arn.rsplit("/", 1)[1] for kind, arn in queues.items()} == {
        "standard": settings.job_queue,
        "enterprise": settings.enterprise_queue,
        "on-demand": settings.on_demand_queue,
        "on-demand-enterprise": settings.on_demand_enterprise_queue,
    }
    assert settings.job_events_queue_url == applied.outputs["queues"]["job_events"]


def test_password_is_in_no_state(applied):
    database = next(iter(applied.resources("aws_db_instance").values()))
    (secret,) = [
        values
        for address, values in applied.resources("aws_secretsmanager_secret").items()
        if "database" in address
    ]
    password = _secret(applied, secret["arn"])
    assert database["password"] is None
    assert password not in json.dumps(applied.state)


def test_job_definition_is_the_contracts(applied):
    batch = applied.account.client("batch")
    (definition,) = batch.describe_job_definitions(jobDefinitions=[applied.outputs["job_definition"]])[
        "jobDefinitions"
    ]
    container = definition["containerProperties"]
    environment = {one["name"]: one["value"] for one in container["environment"]}
    expected = job_definition(
        image=container["image"],
        environment=environment,
        secrets={one["name"]: one["valueFrom"] for one in container["secrets"]},
        vcpus=4,
        memory_mib=12288,
        gpus=1,
        timeout_seconds=14400,
    )
    assert expected.pop("jobDefinitionName") == definition["jobDefinitionName"]
    only_on_aws = {"jobRoleArn", "executionRoleArn", "logConfiguration"}
    added_by_moto = {"ulimits"}
    common = {name: container[name] for name in container.keys() - only_on_aws - added_by_moto}
    assert common == expected.pop("containerProperties")
    # terraform writes the actions in small letters, and AWS Batch takes either.
    for rule in definition["retryStrategy"]["evaluateOnExit"]:
        rule["action"] = rule["action"].upper()
    assert {name: definition[name] for name in expected} == expected
    assert only_on_aws <= set(container)
    assert environment["TMPDIR"] == SCRATCH_FOLDER
    assert {"AWS_DEFAULT_REGION", "DATABASE_URL", "MEDIA_BUCKET"} <= set(environment)


def test_plans_share_the_machines_by_the_contracts_weights(applied):
    batch = applied.account.client("batch")
    (policy,) = applied.resources("aws_batch_scheduling_policy").values()
    (described,) = batch.describe_scheduling_policies(arns=[policy["arn"]])["schedulingPolicies"]
    assert {
        share["shareIdentifier"]: share["weightFactor"]
        for share in described["fairsharePolicy"]["shareDistribution"]
    } == {share.identifier: share.weight_factor for share in SHARES.values()}


def test_nothing_can_reach_a_job(applied):
    (jobs,) = [
        values for address, values in applied.resources("aws_security_group").items() if '["jobs"]' in address
    ]
    (described,) = applied.account.client("ec2").describe_security_groups(GroupIds=[jobs["id"]])["SecurityGroups"]
    assert described["IpPermissions"] == []


def test_messages_outlive_the_function_and_end_as_dead_letters(applied):
    sqs = applied.account.client("sqs")
    (function,) = applied.resources("aws_lambda_function").values()
    url = applied.outputs["queues"]["requests"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert int(attributes["VisibilityTimeout"]) == 6 * function["timeout"]
    target = json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"]
    assert target.rsplit(":", 1)[1] == applied.outputs["queues"]["dead_requests"].rsplit("/", 1)[1]


def test_command_that_migrates_names_what_is_there(applied):
    """moto has no Fargate to run it on."""
    arguments = json.loads(applied.outputs["run_task_arguments"])
    ecs, ec2 = applied.account.client("ecs"), applied.account.client("ec2")
    validate_parameters(arguments, ecs.meta.service_model.operation_model("RunTask").input_shape)
    task = ecs.describe_task_definition(taskDefinition=arguments["taskDefinition"])["taskDefinition"]
    container = task["containerDefinitions"][0]
    assert container["command"] == ["python", "-m", "backend.manage", "migrate", "--no-input"]
    # Another command in its place finds the same manifest.
    migrates = container["entryPoint"]
    others = [one for _, one in _containers(applied)]
    assert [one["entryPoint"] for one in others] == [migrates] * 3
    network = arguments["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "ENABLED"
    subnets = ec2.describe_subnets(SubnetIds=network["subnets"])["Subnets"]
    assert all(subnet["MapPublicIpOnLaunch"] for subnet in subnets)
    assert ec2.describe_security_groups(GroupIds=network["securityGroups"])["SecurityGroups"]


def test_image_of_the_job_is_the_published_one(applied):
    (template,) = applied.resources("aws_launch_template").values()
    assert template["image_id"] == "ami-12c6146b"


def test_account_has_a_place_for_images_and_states(applied, applied_account):
    outputs = applied_account.outputs()
    ecr = applied.account.client("ecr")
    assert {repository["repositoryUri"] for repository in ecr.describe_repositories()["repositories"]} == set(
        outputs["repository_urls"].values()
    )
    versioning = applied.account.client("s3").get_bucket_versioning(Bucket=outputs["state_bucket"])
    assert versioning["Status"] == "Enabled"
    assert outputs["state_bucket"].endswith(REGION)


def _containers(applied: Any) -> list[tuple[str, dict[str, Any]]]:
    """The containers of the API, the worker and the migration, by name."""
    tasks = applied.resources("aws_ecs_task_definition").values()
    return [(one["name"], one) for task in tasks for one in json.loads(task["container_definitions"])]


def _job(applied: Any) -> dict[str, Any]:
    (definition,) = applied.resources("aws_batch_job_definition").values()
    return dict(json.loads(definition["container_properties"]))


def _client(trusted: str, peer: str, forwarded: str) -> str:
    """The client's address as the application is told it, of a request that came from `peer`."""
    told = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        told.append(scope["client"][0])

    scope: Any = {"type": "http", "client": (peer, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}
    asyncio.run(ProxyHeadersMiddleware(application, trusted_hosts=trusted)(scope, None, None))  # type: ignore[arg-type]
    return str(told[0])


def _secret(applied: Any, arn: str) -> str:
    return str(applied.account.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])


def _differing(change: dict[str, Any]) -> set[str]:
    """Paths of what an update would write, without positions in lists; a block that comes or goes is one path."""
    paths = set()

    def walk(before: Any, after: Any, unknown: Any, path: str) -> None:
        if isinstance(before, dict) and isinstance(after, dict):
            for name in before.keys() | after.keys():
                inner = unknown.get(name) if isinstance(unknown, dict) else unknown
                walk(before.get(name), after.get(name), inner, f"{path}.{name}" if path else name)
        elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
            for position, (one, other) in enumerate(zip(before, after, strict=True)):
                walk(one, other, unknown[position] if isinstance(unknown, list) and unknown else unknown, path)
        elif before != after or unknown is True:
            paths.add(path)

    walk(change["before"], change["after"], change["after_unknown"], "")
    return paths
