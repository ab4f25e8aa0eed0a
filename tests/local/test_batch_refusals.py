"""What AWS Batch refuses is refused, as the error that boto3 raises for it. Source: the API reference."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local.batch.containers import Container, ContainerNotStarted
from local.batch.events import NoEvents
from local.batch.server import BatchServer
from local.batch.service import BatchService, ServiceSettings

RULE = {"onExitCode": "1", "action": "RETRY"}


class NoRunner:
    def start(self, container: Container) -> Any:
        raise ContainerNotStarted("no containers here")

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two queues with nothing running: `q` without a policy, `fair` with one. The client itself checks nothing."""
    settings = ServiceSettings(log_folder=tmp_path_factory.mktemp("logs"))
    service = BatchService(settings, runner=NoRunner(), events=NoEvents(), resolve_secret=str)
    config = Config(parameter_validation=False, retries={"max_attempts": 0})
    with service, BatchServer(service) as server:
        client = boto3.client(
            "batch",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=config,
        )
        client.create_compute_environment(**environment())
        policy = client.create_scheduling_policy(name="p", fairsharePolicy={})["arn"]
        client.create_job_queue(**queue(jobQueueName="q"))
        client.create_job_queue(**queue(jobQueueName="fair", schedulingPolicyArn=policy))
        client.create_job_queue(**queue(jobQueueName="off", state="DISABLED"))
        client.register_job_definition(**definition())
        client.register_job_definition(**definition(jobDefinitionName="gone"))
        client.deregister_job_definition(jobDefinition="gone:1")
        yield client
        client.close()


def environment(**members: Any) -> dict[str, Any]:
    resources = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 4,
        "instanceTypes": ["optimal"],
        "subnets": ["subnet-1"],
        "instanceRole": "ecsInstanceRole",
        **members.pop("computeResources", {}),
    }
    return {"computeEnvironmentName": "ce", "type": "MANAGED", "computeResources": resources, **members}


def queue(**members: Any) -> dict[str, Any]:
    order = [{"order": 1, "computeEnvironment": "ce"}]
    return {"jobQueueName": "new", "priority": 1, "computeEnvironmentOrder": order, **members}


def definition(container: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    wanted = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "64"}]
    properties = {"image": "busybox", "command": ["true"], "resourceRequirements": wanted, **(container or {})}
    return {"jobDefinitionName": "work", "type": "container", "containerProperties": properties, **members}


def job(**members: Any) -> dict[str, Any]:
    return {"jobName": "job", "jobQueue": "q", "jobDefinition": "work", **members}


def overrides(**members: Any) -> dict[str, Any]:
    return job(containerOverrides=members)


def fair(**members: Any) -> dict[str, Any]:
    return job(jobQueue="fair", **members)


def test_what_the_rows_start_from_is_accepted(client: Any) -> None:
    """Otherwise a row could be refused for a reason that is not its own."""
    assert client.submit_job(**job())["jobName"] == "job"
    assert client.submit_job(**fair(shareIdentifier="pro", schedulingPriorityOverride=9999))["jobId"]
    assert client.submit_job(**job(jobName="a" * 128, timeout={"attemptDurationSeconds": 60}))["jobId"]
    assert client.submit_job(**job(retryStrategy={"attempts": 10, "evaluateOnExit": [RULE] * 5}))["jobId"]
    assert client.register_job_definition(**definition())["revision"] == 2
    client.create_compute_environment(**environment(computeEnvironmentName="another"))
    client.create_job_queue(**queue(jobQueueName="another"))


SUBMISSIONS = [
    pytest.param(job(jobName="-job"), "valid pattern", id="name starts with a hyphen"),
    pytest.param(job(jobName="my job"), "valid pattern", id="name with a space"),
    pytest.param(job(jobName="a" * 129), "valid pattern", id="name of 129 letters"),
    pytest.param(job(jobQueue="nowhere"), "not found", id="unknown queue"),
    pytest.param(job(jobQueue="off"), "DISABLED", id="disabled queue"),
    pytest.param(job(jobDefinition="nothing"), "not found", id="unknown definition"),
    pytest.param(job(jobDefinition="work:99"), "not found", id="unknown revision"),
    pytest.param(job(jobDefinition="gone:1"), "not ACTIVE", id="deregistered revision"),
    pytest.param(job(retryStrategy={"attempts": 0}), "between 1 and 10", id="0 attempts"),
    pytest.param(job(retryStrategy={"attempts": 11}), "between 1 and 10", id="11 attempts"),
    pytest.param(job(retryStrategy={"evaluateOnExit": [RULE]}), "attempts", id="rules without attempts"),
    pytest.param(job(retryStrategy={"attempts": 1, "evaluateOnExit": [RULE] * 6}), "up to 5", id="6 rules"),
    *(
        pytest.param(job(retryStrategy={"attempts": 1, "evaluateOnExit": [rule]}), match, id=name)
        for name, match, rule in [
            ("exit code with letters", "onExitCode", {"onExitCode": "1a", "action": "RETRY"}),
            ("asterisk inside an exit code", "onExitCode", {"onExitCode": "1*7", "action": "RETRY"}),
            ("reason with a bracket", "onReason", {"onReason": "Host (x)", "action": "RETRY"}),
            ("status reason with a question mark", "onStatusReason", {"onStatusReason": "a?", "action": "EXIT"}),
            ("status reason of 514 characters", "onStatusReason", {"onStatusReason": "a" * 514, "action": "EXIT"}),
            ("rule without a condition", "must be specified", {"action": "RETRY"}),
            ("rule without an action", "action", {"onExitCode": "1"}),
            ("unknown action", "RETRY, EXIT", {"onExitCode": "1", "action": "AGAIN"}),
        ]
    ),
    pytest.param(job(timeout={"attemptDurationSeconds": 59}), "at least 60", id="timeout of 59 seconds"),
    pytest.param(job(timeout={}), "at least 60", id="timeout without seconds"),
    pytest.param(job(arrayProperties={"size": 1}), "between 2 and 10000", id="array of 1"),
    pytest.param(job(arrayProperties={"size": 10_001}), "between 2 and 10000", id="array of 10001"),
    pytest.param(fair(), "must be specified", id="no share in a fair-share queue"),
    pytest.param(job(shareIdentifier="pro"), "can't be specified", id="a share in a queue without policy"),
    pytest.param(fair(shareIdentifier="pro plan"), "valid pattern", id="share with a space"),
    pytest.param(fair(shareIdentifier="a", schedulingPriorityOverride=-1), "0 and 9999", id="priority -1"),
    pytest.param(fair(shareIdentifier="a", schedulingPriorityOverride=10_000), "0 and 9999", id="priority 10000"),
    pytest.param(
        overrides(environment=[{"name": "AWS_BATCH_X", "value": ""}]), "AWS_BATCH", id="reserved variable"
    ),
    pytest.param(overrides(environment=[{"name": "", "value": ""}]), "empty", id="variable without a name"),
    pytest.param(overrides(command=["ls", ""]), "empty string", id="empty word in a command"),
    pytest.param(
        overrides(resourceRequirements=[{"type": "MEMORY", "value": "3"}]), "at least 4", id="3 MiB of memory"
    ),
    pytest.param(
        overrides(resourceRequirements=[{"type": "GPU", "value": "half"}]), "whole number", id="half a GPU"
    ),
    pytest.param(overrides(resourceRequirements=[{"type": "CPU", "value": "1"}]), "VCPU", id="unknown resource"),
    pytest.param(job(dependsOn=[{"jobId": "x"}] * 21), "maximum of 20", id="21 dependencies"),
    pytest.param(job(dependsOn=[{"jobId": "nothing"}]), "does not exist", id="dependency on nothing"),
    pytest.param(job(dependsOn=[{"type": "SEQUENTIAL"}]), "array jobs", id="sequential without an array"),
    pytest.param(
        job(arrayProperties={"size": 2}, dependsOn=[{"type": "N_TO_N"}]), "job ID", id="N_TO_N with no one"
    ),
    pytest.param(job(jobName=7), "type", id="a number for a name"),
    pytest.param({"jobName": "job", "jobQueue": "q"}, "jobDefinition", id="no definition"),
]


@pytest.mark.parametrize(("parameters", "match"), SUBMISSIONS)
def test_submit_job_refuses(client: Any, parameters: dict[str, Any], match: str) -> None:
    with pytest.raises(client.exceptions.ClientException, match=match) as refusal:
        client.submit_job(**parameters)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        pytest.param(definition(jobDefinitionName="my work"), "valid pattern", id="name with a space"),
        pytest.param(definition(type="multinode"), "container", id="multi-node"),
        pytest.param(definition(type="pod"), "container, multinode", id="unknown type"),
        pytest.param(definition({"image": ""}), "image", id="no image"),
        pytest.param(definition({"resourceRequirements": []}), "VCPU", id="no vCPUs"),
        pytest.param(
            definition({"resourceRequirements": [{"type": "VCPU", "value": "1"}]}), "MEMORY", id="no memory"
        ),
        pytest.param(definition({"vcpus": 1}), "must not both", id="vCPUs twice"),
        pytest.param(
            definition({"environment": [{"name": "AWS_BATCH_JOB_ID", "value": "x"}]}), "AWS_BATCH", id="reserved"
        ),
        pytest.param(
            definition({"mountPoints": [{"sourceVolume": "models", "containerPath": "/opt/models"}]}),
            "not among the volumes",
            id="mount without a volume",
        ),
        pytest.param(definition({"secrets": [{"name": "KEY"}]}), "valueFrom", id="secret without a source"),
        pytest.param(
            definition({"networkConfiguration": {"assignPublicIp": "ENABLED"}}), "Fargate", id="Fargate's network"
        ),
        pytest.param(definition(retryStrategy={"attempts": 11}), "between 1 and 10", id="11 attempts"),
        pytest.param(definition(timeout={"attemptDurationSeconds": 1}), "at least 60", id="timeout of 1 second"),
        pytest.param(definition(schedulingPriority=10_000), "0 and 9999", id="priority 10000"),
    ],
)
def test_register_job_definition_refuses(client: Any, parameters: dict[str, Any], match: str) -> None:
    with pytest.raises(client.exceptions.ClientException, match=match):
        client.register_job_definition(**parameters)


def policy(*shares: str, **members: Any) -> dict[str, Any]:
    distribution = [{"shareIdentifier": share} for share in shares]
    return {"name": "new", "fairsharePolicy": {"shareDistribution": distribution, **members}}


@pytest.mark.parametrize(
    ("operation", "parameters", "match"),
    [
        pytest.param("create_compute_environment", environment(), "already exists", id="environment twice"),
        pytest.param(
            "create_compute_environment",
            environment(computeEnvironmentName="x", computeResources={"maxvCpus": 0}),
            "maxvCpus",
            id="environment without room",
        ),
        pytest.param(
            "create_compute_environment",
            environment(computeEnvironmentName="x", computeResources={"subnets": []}),
            "subnets",
            id="environment without subnets",
        ),
        pytest.param("create_job_queue", queue(jobQueueName="q"), "already exists", id="queue twice"),
        pytest.param("create_job_queue", queue(computeEnvironmentOrder=[]), "up to three", id="queue to nowhere"),
        pytest.param(
            "create_job_queue",
            queue(computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "none"}]),
            "does not exist",
            id="queue to an unknown environment",
        ),
        pytest.param("create_job_queue", queue(schedulingPolicyArn="arn:x"), "not found", id="unknown policy"),
        pytest.param(
            "update_job_queue", {"jobQueue": "q", "schedulingPolicyArn": "arn:x"}, "FIFO", id="policy added later"
        ),
        pytest.param("create_scheduling_policy", policy("UserA*", "UserA1"), "overlap", id="overlapping shares"),
        pytest.param("create_scheduling_policy", policy("a b"), "shareIdentifier", id="share with a space"),
        pytest.param("create_scheduling_policy", policy(computeReservation=100), "0 and 99", id="all reserved"),
        pytest.param("create_scheduling_policy", policy(shareDecaySeconds=604_801), "604800", id="decay too long"),
        pytest.param("describe_jobs", {"jobs": ["x"] * 101}, "1 to 100", id="101 jobs described"),
        pytest.param("list_jobs", {}, "exactly one", id="jobs of nothing listed"),
        pytest.param("list_jobs", {"jobQueue": "q", "arrayJobId": "x"}, "exactly one", id="two lists at once"),
        pytest.param("list_jobs", {"jobQueue": "q", "jobStatus": "DONE"}, "SUCCEEDED", id="unknown status"),
        pytest.param("list_jobs", {"jobQueue": "q", "nextToken": "!"}, "nextToken", id="invented token"),
        pytest.param(
            "list_jobs",
            {"jobQueue": "q", "filters": [{"name": "job_name", "values": ["x"]}]},
            "JOB_NAME",
            id="filter names are case sensitive",
        ),
        pytest.param(
            "terminate_job", {"jobId": "x", "reason": "r"}, "does not exist", id="unknown job terminated"
        ),
        pytest.param("cancel_job", {"jobId": "x"}, "reason", id="cancelled without a reason"),
        pytest.param("cancel_job", {"jobId": "x", "reason": "r" * 1025}, "1024", id="reason too long"),
    ],
)
def test_other_operations_refuse(client: Any, operation: str, parameters: dict[str, Any], match: str) -> None:
    call: Callable[..., Any] = getattr(client, operation)
    with pytest.raises(client.exceptions.ClientException, match=match):
        call(**parameters)
