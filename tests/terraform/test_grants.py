"""Every call that the product makes is granted, and nothing else is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.accounts.services import create_api_key
from backend.gateways import clients
from backend.videos import wiring
from demo.video import make_demo_video
from local.runtime import write_manifest
from tests.terraform import journeys
from tests.terraform.iam.calls import declarations
from tests.terraform.iam.gate import CallRefused, Gate
from tests.terraform.iam.permissions import Permissions
from tests.terraform.iam.policies import Call, Principal, decide
from tests.terraform.iam.reference import faults
from tests.terraform.iam.source import operations_named
from tests.terraform.walk import Walk

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("terraform"), pytest.mark.timeout(900)]

ACCOUNT = "123456789012"

# Grants that no step here needs, each (part, action, resource) with the reason why it stays.
KEPT: dict[tuple[str, str, str], str] = {}


@pytest.fixture(scope="module")
def permissions(applied: Any) -> Permissions:
    """Of the environment `minimal`."""
    return Permissions.from_show(applied.state)


@pytest.fixture
def gate(permissions: Permissions) -> Gate:
    region = permissions.outputs["job_definition"].split(":")[3]
    return Gate(
        parts=permissions.parts(),
        of_resources=permissions.resource_statements(),
        declarations=declarations(region, ACCOUNT),
    )


@pytest.fixture
def walk(
    applied: Any,
    permissions: Permissions,
    gate: Gate,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    db: None,
) -> Iterator[Walk]:
    """The backend and the function with the environments that were applied, and a user of the largest plan."""
    environment = permissions.outputs["backend_environments"]["api"]
    for name in ("MEDIA_BUCKET", "REQUESTS_QUEUE_URL", "DEAD_REQUESTS_QUEUE_URL", "JOB_EVENTS_QUEUE_URL"):
        setattr(settings, name, environment[name])
    manifest = tmp_path / "manifest.json"
    write_manifest(manifest, ())
    settings.RUNTIME_MANIFEST = manifest
    for name, value in {**applied.account.environment, **permissions.outputs["submitter_environment"]}.items():
        monkeypatch.setenv(name, value)
    user = User.objects.create(username="owner", plan="enterprise")
    client = APIClient()
    key = create_api_key(user=user, name="walk").key
    client.credentials(HTTP_AUTHORIZATION=f"Api-Key {key}")
    _forget_clients()  # one that an earlier test has made is not held by this test's gate
    with moto_kept_from_interfering(applied, permissions):
        yield Walk(permissions=permissions, gate=gate, client=client, folder=tmp_path)
    _forget_clients()  # nor one of this test by a later one's


def _forget_clients() -> None:
    clients._session.cache_clear()
    wiring._media_bucket.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_a_grant_that_is_taken_away_is_missed_at_once(walk: Walk, gate: Gate):
    worker = gate.parts["worker"]
    left = [one for one in worker.statements if one.sid != "SendRequests"]
    gate.parts = {**gate.parts, "worker": replace(worker, statements=left)}

    with gate.open():
        video = walk.upload(make_demo_video(walk.folder / "clip.mp4", seconds=0.5).path)
        walk.request(video)
        with pytest.raises(CallRefused, match=r"^worker may not sqs:SendMessage on arn:aws:sqs:.*-requests$"):
            walk.work("outbox relay")

    assert len(gate.refused) == 1


@contextmanager
def moto_kept_from_interfering(applied: Any, permissions: Permissions) -> Iterator[None]:
    """It reads a bucket's policy without its conditions, which the gate reads, and would deny everything; and it
    plays the event source mapping without running the function.
    """
    s3, bucket = applied.account.client("s3"), permissions.outputs["bucket"]
    functions = applied.account.client("lambda")
    (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"]
    policy = s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    yield
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)


@pytest.mark.django_db(transaction=True)
def test_the_whole_product_runs_within_its_roles_and_uses_all_they_grant(
    walk: Walk, permissions: Permissions, gate: Gate
):
    with gate.open():
        for journey in journeys.ALL:
            journey(walk)
    in_the_name_of_roles(permissions, gate)

    assert gate.refused == []
    called = {name.rpartition(":")[2] for _, name in gate.calls}
    left_out = {name: files for name, files in operations_named().items() if name not in called}
    assert left_out == {}, "operations that the source names and no journey calls"
    unused = {(part, grant.action, grant.resource) for part, grant in gate.unused()}
    assert unused == set(KEPT), "granted and never used: take it away, or say in KEPT why it stays"


def in_the_name_of_roles(permissions: Permissions, gate: Gate) -> None:
    """What AWS itself calls with our roles, so that machines, containers and the function start and log."""
    for call in permissions.calls_to_start(permissions.job_container()):
        gate.ask("job_execution", call)
    for container in permissions.task_containers():
        for call in permissions.calls_to_start(container):
            gate.ask("backend_execution", call)
    (function,) = permissions.of("aws_lambda_function")
    for call in permissions.calls_to_log(f"/aws/lambda/{function['function_name']}"):
        gate.ask("submitter", call)
    for call in permissions.calls_of_the_agent():
        gate.ask("machine", call)


def test_no_policy_is_wider_than_aws_lets_it_be(permissions: Permissions):
    statements = [one for part in permissions.parts().values() for one in part.statements]
    assert list(faults(statements)) == []


def test_each_role_can_be_taken_by_one_service_alone(permissions: Permissions):
    services = {
        "submitter": "lambda.amazonaws.com",
        "machine": "ec2.amazonaws.com",
        "job_execution": "ecs-tasks.amazonaws.com",
        "job": "ecs-tasks.amazonaws.com",
        "backend_execution": "ecs-tasks.amazonaws.com",
        "api": "ecs-tasks.amazonaws.com",
        "worker": "ecs-tasks.amazonaws.com",
    }
    trusted = {part: permissions.trusted(role) for part, role in permissions.outputs["role_names"].items()}
    assert trusted == {part: {service} for part, service in services.items()}


def test_eventbridge_may_deliver_what_its_rules_send_and_others_may_not(permissions: Permissions):
    calls = permissions.event_calls()
    assert calls
    for service, call in calls:
        of_resource = permissions.resource_statements()
        assert decide(call, Principal(service=service), of_role=(), of_resource=of_resource).allowed, call
        other = Principal(service="sns.amazonaws.com")
        assert not decide(call, other, of_role=(), of_resource=of_resource).allowed


def test_nothing_unencrypted_reaches_a_bucket_or_queue_of_the_product(permissions: Permissions, gate: Gate):
    unencrypted = {"aws:SecureTransport": "false"}
    queues = [one["arn"] for one in permissions.of("aws_sqs_queue")]
    calls = [Call(action="sqs:SendMessage", resource=arn, context=unencrypted) for arn in queues]
    calls += [
        Call(action="s3:GetObject", resource=f"{one['arn']}/uploads/1", context=unencrypted)
        for one in permissions.of("aws_s3_bucket")
    ]
    everything = gate.parts["worker"].statements
    for call in calls:
        decision = decide(call, Principal(), of_role=everything, of_resource=gate.of_resources)
        assert not decision.allowed
        assert decision.grants, f"nothing denies {call.action} on {call.resource} where it is not encrypted"
