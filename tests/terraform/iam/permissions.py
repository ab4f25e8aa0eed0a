"""What was applied, read from `terraform show -json`: roles with their rendered policies, and containers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.terraform.iam.calls import ENCRYPTED
from tests.terraform.iam.gate import Part
from tests.terraform.iam.policies import Call, PolicyNotUnderstood, Statement, statements_of

Resource = Mapping[str, Any]

# Policies of resources that the product calls, or that AWS calls for it.
_RESOURCE_POLICIES = {  # type -> its attribute
    "aws_s3_bucket_policy": "policy",
    "aws_sqs_queue_policy": "policy",
    "aws_sns_topic_policy": "policy",
    "aws_cloudwatch_log_resource_policy": "policy_document",
}


# What EventBridge calls to deliver an event, by the target's service.
_DELIVERIES = {
    "sqs": ("sqs:SendMessage",),
    "sns": ("sns:Publish",),
    "logs": ("logs:CreateLogStream", "logs:PutLogEvents"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Permissions:
    """One environment as Terraform left it."""

    outputs: Mapping[str, Any]
    resources: Sequence[Resource]

    @classmethod
    def from_show(cls, shown: Mapping[str, Any]) -> "Permissions":
        values = shown["values"]
        return cls(
            outputs={name: output["value"] for name, output in values["outputs"].items()},
            resources=[one for one in walked(values["root_module"]) if one["mode"] == "managed"],
        )

    def of(self, kind: str) -> list[Resource]:
        """The values of all resources of a type."""
        return [one["values"] for one in self.resources if one["type"] == kind]

    def parts(self) -> dict[str, Part]:
        """Each part of the product, by the names of the output `role_names`."""
        return {part: self.part(part, role) for part, role in self.outputs["role_names"].items()}

    def resource_statements(self) -> list[Statement]:
        return [
            statement
            for raw in self.resources
            if raw["type"] in _RESOURCE_POLICIES
            for statement in statements_of(raw["address"], raw["values"][_RESOURCE_POLICIES[raw["type"]]])
        ]

    def trusted(self, role: str) -> set[str]:
        """The services that may take a role."""
        (values,) = (one for one in self.of("aws_iam_role") if one["name"] == role)
        principals = [one["Principal"] for one in json.loads(values["assume_role_policy"])["Statement"]]
        return {one["Service"] for one in principals}

    def part(self, part: str, role: str) -> Part:
        (values,) = (one for one in self.of("aws_iam_role") if one["name"] == role)
        attached = [one["policy_arn"] for one in self.of("aws_iam_role_policy_attachment") if one["role"] == role]
        if attached or values.get("managed_policy_arns"):
            raise PolicyNotUnderstood(f"{role} has attached policies, which are not exact: {attached}")
        policies = [
            one for one in self.resources if one["type"] == "aws_iam_role_policy" and one["values"]["role"] == role
        ]
        statements = [one for raw in policies for one in statements_of(raw["address"], raw["values"]["policy"])]
        return Part(name=part, role_arn=values["arn"], statements=statements)

    def calls_to_start(self, container: Mapping[str, Any]) -> list[Call]:
        """What AWS calls with the execution role, so that a container starts: its image, secrets and log stream.

        "Amazon ECS task execution IAM role" in the ECS developer guide lists them.
        """
        asked = [Call(action="ecr:GetAuthorizationToken", resource="*")]
        asked += self.calls_to_pull(container["image"])
        asked += [
            Call(action="secretsmanager:GetSecretValue", resource=secret["valueFrom"])
            for secret in container.get("secrets", ())
        ]
        return asked + self.calls_to_log(container["logConfiguration"]["options"]["awslogs-group"])

    def calls_to_pull(self, image: str) -> list[Call]:
        host, _, path = image.partition("/")
        account, _, _, region, *_ = host.split(".")
        repository = f"arn:aws:ecr:{region}:{account}:repository/{path.partition('@')[0].partition(':')[0]}"
        actions = ("BatchCheckLayerAvailability", "GetDownloadUrlForLayer", "BatchGetImage")
        return [Call(action=f"ecr:{action}", resource=repository) for action in actions]

    def calls_to_log(self, group: str) -> list[Call]:
        (arn,) = (one["arn"] for one in self.of("aws_cloudwatch_log_group") if one["name"] == group)
        stream = f"{arn.removesuffix(':*')}:log-stream:any"
        return [Call(action=f"logs:{action}", resource=stream) for action in ("CreateLogStream", "PutLogEvents")]

    def calls_of_the_agent(self) -> list[Call]:
        """What the ECS agent on a job's machine calls with the machine's role.

        "Amazon ECS container instance IAM role" lists them, and two more: what makes clusters, as AWS Batch does,
        and what takes a machine out of one, which the agent has no call for.
        """
        (role,) = (one for one in self.of("aws_iam_role") if one["name"] == self.outputs["role_names"]["machine"])
        account = role["arn"].split(":")[4]
        region = self.outputs["job_definition"].split(":")[3]
        ecs = f"arn:aws:ecs:{region}:{account}"
        on_cluster = (
            "RegisterContainerInstance",
            "SubmitContainerStateChange",
            "SubmitTaskStateChange",
            "SubmitAttachmentStateChanges",
        )
        on_instance = ("Poll", "StartTelemetrySession", "UpdateContainerInstancesState")
        return [
            Call(action="ecs:DiscoverPollEndpoint", resource="*"),
            *(Call(action=f"ecs:{action}", resource=f"{ecs}:cluster/any") for action in on_cluster),
            *(Call(action=f"ecs:{action}", resource=f"{ecs}:container-instance/any/1") for action in on_instance),
            Call(action="ecr:GetAuthorizationToken", resource="*"),
            *self.calls_to_pull(self.job_container()["image"]),
        ]

    def job_container(self) -> Mapping[str, Any]:
        (definition,) = self.of("aws_batch_job_definition")
        container: Mapping[str, Any] = json.loads(definition["container_properties"])
        return container

    def task_containers(self) -> list[Mapping[str, Any]]:
        definitions = self.of("aws_ecs_task_definition")
        return [one for definition in definitions for one in json.loads(definition["container_definitions"])]

    def event_calls(self) -> list[tuple[str, Call]]:
        """(service, call) for what EventBridge delivers: to each target, and to its dead letters."""
        rules = {one["name"]: one["arn"] for one in self.of("aws_cloudwatch_event_rule")}
        calls = []
        for target in self.of("aws_cloudwatch_event_target"):
            context = ENCRYPTED | {"aws:SourceArn": rules[target["rule"]]}
            for arn in (target["arn"], *(one["arn"] for one in target["dead_letter_config"])):
                service = arn.split(":")[2]
                resource = f"{arn.removesuffix(':*')}:log-stream:any" if service == "logs" else arn
                calls += [
                    ("events.amazonaws.com", Call(action=action, resource=resource, context=context))
                    for action in _DELIVERIES[service]
                ]
        return calls


def walked(module: Mapping[str, Any]) -> Iterator[Resource]:
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from walked(child)
