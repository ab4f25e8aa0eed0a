"""From SubmitJob's parameters and a job definition to a Job."""

import re
from collections.abc import Mapping
from typing import Any

from local.batch.jobs import Job, JobStatus

_PLACEHOLDER = re.compile(r"Ref::([A-Za-z0-9_.-]+)")


def new_job(
    parameters: Mapping[str, Any],
    *,
    definition: Mapping[str, Any],
    queue: Mapping[str, Any],
    job_id: str,
    arn: str,
    created_at: int,
    order: int,
) -> Job:
    """What the submission gives wins over what the definition gives."""
    substitutions = {**definition["parameters"], **parameters.get("parameters", {})}
    timeout = parameters.get("timeout", definition.get("timeout", {}))
    return Job(
        id=job_id,
        arn=arn,
        name=parameters["jobName"],
        queue_arn=queue["jobQueueArn"],
        definition_arn=definition["jobDefinitionArn"],
        definition_name=definition["jobDefinitionName"],
        created_at=created_at,
        order=order,
        container=overridden(
            definition["containerProperties"], parameters.get("containerOverrides", {}), substitutions
        ),
        retry_strategy=parameters.get("retryStrategy", definition.get("retryStrategy", {})),
        timeout_seconds=timeout.get("attemptDurationSeconds"),
        depends_on=list(parameters.get("dependsOn", ())),
        parameters=substitutions,
        share=parameters.get("shareIdentifier"),
        priority=parameters.get("schedulingPriorityOverride", definition.get("schedulingPriority", 0)),
        tags=dict(parameters.get("tags", {})),
        propagate_tags=parameters.get("propagateTags", definition.get("propagateTags", False)),
        platform_capabilities=list(definition["platformCapabilities"]),
        array_size=parameters.get("arrayProperties", {}).get("size"),
    )


def child_of(parent: Job, index: int, *, arn: str, created_at: int) -> Job:
    """ "Each child job has the same base ID. However, the array index for the child job is appended [...]" """
    return Job(
        id=f"{parent.id}:{index}",
        arn=arn,
        name=parent.name,
        queue_arn=parent.queue_arn,
        definition_arn=parent.definition_arn,
        definition_name=parent.definition_name,
        created_at=created_at,
        order=parent.order,
        container=parent.container,
        retry_strategy=parent.retry_strategy,
        timeout_seconds=parent.timeout_seconds,
        depends_on=parent.depends_on,
        parameters=parent.parameters,
        share=parent.share,
        priority=parent.priority,
        tags=parent.tags,
        propagate_tags=parent.propagate_tags,
        platform_capabilities=parent.platform_capabilities,
        array_size=parent.array_size,
        parent_id=parent.id,
        index=index,
        status=JobStatus.PENDING,  # "[...] spawned by its parent and entered the PENDING state"
    )


def overridden(
    container: Mapping[str, Any], overrides: Mapping[str, Any], substitutions: Mapping[str, str]
) -> dict[str, Any]:
    """Environment and resources are merged entry by entry, the command is replaced, Ref:: placeholders are filled.

    The older vcpus and memory do not override resourceRequirements of the definition (ContainerOverrides).
    """
    merged = dict(container)
    merged["environment"] = _by_key(container, overrides, "environment", "name")
    merged["resourceRequirements"] = _by_key(container, overrides, "resourceRequirements", "type")
    for name in ("vcpus", "memory"):
        if name in overrides and name in container:
            merged[name] = overrides[name]
    command = overrides.get("command", container.get("command", ()))
    merged["command"] = [_filled(word, substitutions) for word in command]
    return merged


def _by_key(
    container: Mapping[str, Any], overrides: Mapping[str, Any], member: str, key: str
) -> list[dict[str, Any]]:
    entries = {entry[key]: dict(entry) for entry in (*container.get(member, ()), *overrides.get(member, ()))}
    return list(entries.values())


def _filled(word: str, substitutions: Mapping[str, str]) -> str:
    """A placeholder without a parameter stays as it is."""
    return _PLACEHOLDER.sub(lambda match: substitutions.get(match[1], match[0]), word)
