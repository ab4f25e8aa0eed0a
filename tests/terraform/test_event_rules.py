"""EventBridge passes on what AWS Batch says of our jobs: its stand-in's events, held against the applied rules."""

from collections.abc import Callable
from typing import Any

import pytest
from moto.events.models import EventPattern

from backend.videos.job_events import DETAIL_TYPES
from local.batch.effects import Launch
from local.batch.events import Event, event_of
from local.batch.registry import Registry
from local.batch.scheduler import Scheduler

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("terraform"), pytest.mark.timeout(900)]

STATES, BLOCKED = DETAIL_TYPES


@pytest.fixture
def passed(applied: Any) -> Callable[[Event], set[str]]:
    """Names of the rules that an event goes through."""
    rules = applied.account.client("events").list_rules()["Rules"]
    patterns = {rule["Name"]: EventPattern.load(rule["EventPattern"]) for rule in rules}

    def names(event: Event) -> set[str]:
        return {name for name, pattern in patterns.items() if pattern.matches_event(event)}

    return names


def test_worker_hears_of_every_state_and_of_what_blocks_a_queue(applied: Any, passed: Any):
    for arn in applied.outputs["job_queues"].values():
        events = _events_of(arn.rpartition("/")[2])
        assert {event["detail"]["jobQueue"] for event in events} == {arn}
        assert {event["detail-type"] for event in events} == set(DETAIL_TYPES)
        for event in events:
            others = {"framebatch-blocked-queue"} if event["detail-type"] == BLOCKED else set()
            if event["detail"]["status"] == "FAILED":
                others = {"framebatch-failed-jobs"}
            assert passed(event) == {"framebatch-job-states", *others}


def test_another_environments_jobs_are_not_ours_though_its_name_begins_like_ours(passed: Any):
    events = _events_of("framebatch-staging")
    assert {event["detail-type"] for event in events} == set(DETAIL_TYPES)
    assert [passed(event) for event in events] == [set()] * len(events)


def _events_of(queue: str) -> list[Event]:
    """Of a job that fails, and of one that is larger than any machine."""
    registry = Registry()
    compute = {
        "type": "EC2",
        "minvCpus": 0,
        "maxvCpus": 4,
        "instanceTypes": ["optimal"],
        "subnets": ["subnet-1"],
        "instanceRole": "arn:aws:iam::123456789012:instance-profile/ecs",
    }
    registry.create_environment(
        {"computeEnvironmentName": "machines", "type": "MANAGED", "computeResources": compute}
    )
    order = [{"order": 1, "computeEnvironment": "machines"}]
    registry.create_queue({"jobQueueName": queue, "priority": 1, "computeEnvironmentOrder": order})
    for name, vcpus in (("small", 1), ("large", 5)):
        resources = [{"type": "VCPU", "value": str(vcpus)}, {"type": "MEMORY", "value": "64"}]
        container = {"image": "python", "command": ["python"], "resourceRequirements": resources}
        registry.register_definition(
            {"jobDefinitionName": name, "type": "container", "containerProperties": container}
        )
    scheduler = Scheduler(registry)
    for name in ("small", "large"):
        scheduler.submit({"jobName": name, "jobQueue": queue, "jobDefinition": name}, 0.0)
    for effect in scheduler.tick(1.0):
        if isinstance(effect, Launch):
            scheduler.started(effect.job.id, 1.0)
            scheduler.ended(effect.job.id, 2.0, exit_code=1)
    scheduler.tick(3.0)
    return [event_of(change, registry.place) for change in scheduler.changes]
