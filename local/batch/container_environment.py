"""What stands in a container's environment beside what its image brings."""

from collections.abc import Callable, Mapping
from typing import Any

from local.batch.containers import Mount
from local.batch.jobs import Attempt, Job

SecretResolver = Callable[[str], str]
"""From `valueFrom` to the value. Raises SecretUnavailable."""


class SecretUnavailable(Exception):
    """The secret cannot be given to the container."""


def environment_of(
    job: Job, attempt: Attempt, queue: Mapping[str, Any], resolve: SecretResolver
) -> dict[str, str]:
    """Definition and overrides, secrets, then what AWS Batch sets ("AWS Batch job environment variables").

    Raises SecretUnavailable.
    """
    given = {pair["name"]: pair.get("value", "") for pair in job.container.get("environment", ())}
    hidden = {secret["name"]: resolve(secret["valueFrom"]) for secret in job.container.get("secrets", ())}
    own = {
        "AWS_BATCH_JOB_ID": job.id,
        "AWS_BATCH_JOB_ATTEMPT": str(attempt.number),  # "The first attempt is numbered 1."
        "AWS_BATCH_JQ_NAME": str(queue["jobQueueName"]),
        "AWS_BATCH_CE_NAME": attempt.compute_environment,
    }
    if job.index is not None:
        # "This variable is only set in child array jobs."
        own["AWS_BATCH_JOB_ARRAY_INDEX"] = str(job.index)
        own["AWS_BATCH_JOB_ARRAY_SIZE"] = str(job.array_size)
    return {**given, **hidden, **own}


def mounts_of(job: Job) -> tuple[Mount, ...]:
    hosts = {
        volume["name"]: volume.get("host", {}).get("sourcePath") for volume in job.container.get("volumes", ())
    }
    return tuple(
        Mount(
            inside=mount["containerPath"],
            outside=hosts[mount["sourceVolume"]],
            read_only=mount.get("readOnly", False),
        )
        for mount in job.container.get("mountPoints", ())
        if hosts[mount["sourceVolume"]] is not None
    )
