"""Compute environments, scheduling policies, job queues and job definitions, each kept in its API form."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.batch import rules
from local.batch.capacity import Capacity
from local.batch.errors import ClientException

Document = dict[str, Any]

_QUEUE_MEMBERS = ("state", "priority", "schedulingPolicyArn", "jobStateTimeLimitActions", "tags")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pretended account is; what every ARN starts with."""

    region: str = "us-east-1"
    account: str = "123456789012"

    def arn(self, resource: str, service: str = "batch") -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass(slots=True)
class Registry:
    place: Place = field(default_factory=Place)
    environments: dict[str, Document] = field(default_factory=dict)  # by name
    queues: dict[str, Document] = field(default_factory=dict)  # by ARN
    policies: dict[str, Document] = field(default_factory=dict)  # by ARN
    definitions: dict[str, list[Document]] = field(default_factory=dict)  # by name, in order of revision

    def create_environment(self, parameters: Mapping[str, Any]) -> Document:
        name = parameters["computeEnvironmentName"]
        rules.check_name(name, "Compute environment name")
        if name in self.environments:
            raise ClientException("Object already exists")
        if parameters["type"] != "MANAGED" or "computeResources" not in parameters:
            raise ClientException("Only MANAGED compute environments with computeResources are supported here.")
        resources = parameters["computeResources"]
        if resources["type"] not in ("EC2", "SPOT"):
            raise ClientException("Only compute resources of type EC2 or SPOT are supported here.")
        if resources["maxvCpus"] < 1 or resources.get("minvCpus", 0) > resources["maxvCpus"]:
            raise ClientException("computeResources.maxvCpus must be at least 1 and not below minvCpus.")
        # "This parameter is required for Amazon EC2 instances types." (ComputeResource)
        for required in ("instanceTypes", "instanceRole", "subnets"):
            if not resources.get(required):
                raise ClientException(f"computeResources.{required} can not be empty.")
        document = {
            "computeEnvironmentName": name,
            "computeEnvironmentArn": self.place.arn(f"compute-environment/{name}"),
            "ecsClusterArn": self.place.arn(f"cluster/AWSBatch-{name}", "ecs"),
            "state": "ENABLED",
            "status": "VALID",
            "statusReason": "ComputeEnvironment Healthy",
            "containerOrchestrationType": "ECS",
            "uuid": str(uuid.uuid4()),
            "tags": {},
            **parameters,
        }
        self.environments[name] = document
        return {name: document[name] for name in ("computeEnvironmentName", "computeEnvironmentArn")}

    def create_policy(self, parameters: Mapping[str, Any]) -> Document:
        name = parameters["name"]
        rules.check_name(name, "Scheduling policy name")
        if "quotaSharePolicy" in parameters:
            raise ClientException("quotaSharePolicy is only for SageMaker Training queues.")
        rules.check_fairshare_policy(parameters.get("fairsharePolicy", {}))
        arn = self.place.arn(f"scheduling-policy/{name}")
        if arn in self.policies:
            raise ClientException("Object already exists")
        self.policies[arn] = {"fairsharePolicy": {}, "tags": {}, **parameters, "arn": arn}
        return {"name": name, "arn": arn}

    def create_queue(self, parameters: Mapping[str, Any]) -> Document:
        name = parameters["jobQueueName"]
        rules.check_name(name, "Job queue name")
        arn = self.place.arn(f"job-queue/{name}")
        if arn in self.queues:
            raise ClientException("Object already exists")
        self._check_queue(parameters)
        self.queues[arn] = {
            "jobQueueName": name,
            "jobQueueArn": arn,
            "state": "ENABLED",
            "status": "VALID",
            "statusReason": "JobQueue Healthy",
            "jobQueueType": "ECS",
            "tags": {},
            **{member: parameters[member] for member in _QUEUE_MEMBERS if member in parameters},
            "computeEnvironmentOrder": self._order(parameters.get("computeEnvironmentOrder", [])),
        }
        return {"jobQueueName": name, "jobQueueArn": arn}

    def update_queue(self, parameters: Mapping[str, Any]) -> Document:
        """ "After a job queue has a fair-share scheduling policy, it can be replaced but can't be removed"; a
        queue without one can't have one added.
        """
        queue = self.queue(parameters["jobQueue"])
        if "schedulingPolicyArn" in parameters and "schedulingPolicyArn" not in queue:
            raise ClientException("A FIFO job queue can't have a fair-share scheduling policy added.")
        merged = {**queue, **{key: value for key, value in parameters.items() if key != "jobQueue"}}
        self._check_queue(merged)
        merged["computeEnvironmentOrder"] = self._order(merged["computeEnvironmentOrder"])
        self.queues[queue["jobQueueArn"]] = merged
        return {"jobQueueName": queue["jobQueueName"], "jobQueueArn": queue["jobQueueArn"]}

    def _check_queue(self, parameters: Mapping[str, Any]) -> None:
        rules.check_range(parameters["priority"], 0, 10_000, "Job queue priority")
        order = parameters.get("computeEnvironmentOrder", [])
        if not 1 <= len(order) <= rules.MAX_ENVIRONMENTS_PER_QUEUE:
            raise ClientException("You can associate one up to three compute environments with a job queue.")
        for entry in order:
            self.environment(entry["computeEnvironment"])
        policy = parameters.get("schedulingPolicyArn")
        if policy is not None and policy not in self.policies:
            raise ClientException(f"Scheduling policy {policy} not found.")
        for action in parameters.get("jobStateTimeLimitActions", ()):
            rules.check_range(action["maxTimeSeconds"], 600, 86_400, "maxTimeSeconds")

    def _order(self, entries: Iterable[Mapping[str, Any]]) -> list[Document]:
        ordered = sorted(entries, key=lambda entry: int(entry["order"]))
        return [
            {
                "order": entry["order"],
                "computeEnvironment": self.environment(entry["computeEnvironment"])["computeEnvironmentArn"],
            }
            for entry in ordered
        ]

    def environment(self, name_or_arn: str) -> Document:
        found = self.environments.get(name_or_arn.rpartition("compute-environment/")[2])
        if found is None:
            raise ClientException(f"Compute environment {name_or_arn} does not exist.")
        return found

    def queue(self, name_or_arn: str) -> Document:
        arn = name_or_arn if name_or_arn.startswith("arn:") else self.place.arn(f"job-queue/{name_or_arn}")
        if arn not in self.queues:
            raise ClientException(f"JobQueue {name_or_arn} not found.")
        return self.queues[arn]

    def policy_of(self, queue: Mapping[str, Any]) -> Document | None:
        """The fair-share policy of a queue, or None for a first-in first-out queue."""
        arn = queue.get("schedulingPolicyArn")
        if arn is None:
            return None
        policy: Document = self.policies[arn]["fairsharePolicy"]
        return policy

    def queues_by_priority(self) -> list[Document]:
        """Higher first; a DISABLED queue accepts no jobs, "but jobs already in the queue can finish"."""
        return sorted(self.queues.values(), key=lambda queue: -int(queue["priority"]))

    def capacities(self, queue: Mapping[str, Any]) -> dict[str, Capacity]:
        """By name, in order of preference; only environments in which jobs may be placed."""
        environments = (
            self.environment(entry["computeEnvironment"]) for entry in queue["computeEnvironmentOrder"]
        )
        return {
            found["computeEnvironmentName"]: Capacity.of(found["computeResources"])
            for found in environments
            if found["state"] == "ENABLED"
        }

    def register_definition(self, parameters: Mapping[str, Any]) -> Document:
        rules.check_definition(parameters)
        revisions = self.definitions.setdefault(parameters["jobDefinitionName"], [])
        revision = len(revisions) + 1
        document = {
            "parameters": {},
            "tags": {},
            "platformCapabilities": ["EC2"],
            "containerOrchestrationType": "ECS",
            **parameters,
            "revision": revision,
            "jobDefinitionArn": self.place.arn(f"job-definition/{parameters['jobDefinitionName']}:{revision}"),
            "status": "ACTIVE",
        }
        revisions.append(document)
        return {name: document[name] for name in ("jobDefinitionName", "jobDefinitionArn", "revision")}

    def deregister_definition(self, parameters: Mapping[str, Any]) -> Document:
        """The revision must be named; jobs that were submitted with it are not affected."""
        reference = parameters["jobDefinition"]
        if ":" not in reference.rpartition("/")[2]:
            raise ClientException(f"Job definition {reference}: a revision must be given.")
        self.definition(reference, active=False)["status"] = "INACTIVE"
        return {}

    def definition(self, reference: str, *, active: bool = True) -> Document:
        """ "If the revision is not specified, then the latest active revision is used." """
        name, _, revision = reference.rpartition("/")[2].partition(":")
        for document in reversed(self.definitions.get(name, [])):
            if (not revision or str(document["revision"]) == revision) and (
                not active or document["status"] == "ACTIVE"
            ):
                return document
        raise ClientException(f"JobDefinition {reference} not found or not ACTIVE.")

    def all_definitions(self) -> Iterator[Document]:
        for name in sorted(self.definitions):
            yield from reversed(self.definitions[name])
