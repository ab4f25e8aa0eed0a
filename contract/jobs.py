"""How an analysis looks to AWS Batch: what the local stack registers, and what Terraform shall declare."""

import math
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from contract.exit_codes import EXIT_KILLED, EXIT_TRY_AGAIN
from contract.options import AnalysisOptions

REQUEST_VARIABLE = "ANALYSIS_REQUEST"  # the request's JSON, in the job's environment
JOB_DEFINITION_NAME = "framebatch-analysis"
SPOT_ATTEMPTS = 2
ON_DEMAND_ATTEMPTS = 1  # the third and last, by a job of its own: an attempt cannot leave its job's queue
SECONDS_PER_JOB = 1200  # of video: so much more work than starting a machine that another machine pays
JOBS_AT_MOST = 32  # of one analysis
SCRATCH_FOLDER = "/scratch"  # the only place a job's container can write to

# Name, path on the machine, path in the container, read-only. The machine image makes the folders, and gives
# scratch to the job's user: what Docker makes itself belongs to root.
_VOLUMES = (
    ("runtime", "/opt/runtime", "/opt/runtime", True),
    ("models", "/opt/models", "/opt/models", True),
    ("scratch", "/var/lib/framebatch/scratch", SCRATCH_FOLDER, False),
)

_NAME_PREFIX, _ON_DEMAND_SUFFIX = "analysis-", "-on-demand"

# AWS Batch evaluates the rules in order; a pattern may end in `*`; an attempt that no rule matches is retried, so
# the last rule ends every other failure.
RETRY_STRATEGY: dict[str, Any] = {
    "attempts": SPOT_ATTEMPTS,
    "evaluateOnExit": [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},  # Spot took the machine
        {"onExitCode": str(EXIT_TRY_AGAIN), "action": "RETRY"},
        {"onExitCode": str(EXIT_KILLED), "action": "RETRY"},
        {"onReason": "CannotPull*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ],
}


def array_size(video_seconds: float | None, options: AnalysisOptions) -> int | None:
    """Into how many jobs an analysis is split; None for a single job, also where the video's length is unknown.

    Counted are the frames that are analysed, as if every video had 30 in a second.
    """
    if video_seconds is None:
        return None
    share = 1 / options.every_nth
    if options.frames_per_second is not None:
        share = min(1.0, options.frames_per_second / 30)
    jobs = min(math.ceil(video_seconds * share / SECONDS_PER_JOB), JOBS_AT_MOST)
    return jobs if jobs > 1 else None


def attempts_of(*, on_demand: bool) -> int:
    """How often AWS Batch starts one job, at most."""
    return ON_DEMAND_ATTEMPTS if on_demand else SPOT_ATTEMPTS


def is_last_attempt(attempt: int, *, on_demand: bool) -> bool:
    """Will nothing follow it, whatever it ends with? After the last on Spot comes the one on On-Demand."""
    return on_demand and attempt >= ON_DEMAND_ATTEMPTS


def job_name(analysis_id: UUID, *, on_demand: bool = False) -> str:
    """Derived from the request, so that a second delivery of the message finds the first one's job."""
    return f"{_NAME_PREFIX}{analysis_id}{_ON_DEMAND_SUFFIX if on_demand else ''}"


def analysis_id_of(name: str) -> UUID | None:
    """The analysis a job belongs to, or None for a job that is not ours."""
    if not name.startswith(_NAME_PREFIX):
        return None
    try:
        return UUID(name.removeprefix(_NAME_PREFIX).removesuffix(_ON_DEMAND_SUFFIX))
    except ValueError:
        return None


def is_on_demand(name: str) -> bool:
    return name.endswith(_ON_DEMAND_SUFFIX)


def job_definition(
    *,
    image: str,
    environment: Mapping[str, str],
    secrets: Mapping[str, str],
    vcpus: int,
    memory_mib: int,
    gpus: int,
    timeout_seconds: int,
) -> dict[str, Any]:
    """Arguments of RegisterJobDefinition. `secrets` maps a variable's name to a Secrets Manager ARN."""
    resources = [{"type": "VCPU", "value": str(vcpus)}, {"type": "MEMORY", "value": str(memory_mib)}]
    if gpus:
        resources.append({"type": "GPU", "value": str(gpus)})
    return {
        "jobDefinitionName": JOB_DEFINITION_NAME,
        "type": "container",
        "platformCapabilities": ["EC2"],
        "containerProperties": {
            "image": image,
            "command": ["python", "-m", "batch_job"],
            "environment": [{"name": name, "value": value} for name, value in sorted(environment.items())],
            "secrets": [{"name": name, "valueFrom": arn} for name, arn in sorted(secrets.items())],
            "resourceRequirements": resources,
            "user": "1000",
            "readonlyRootFilesystem": True,
            "volumes": [{"name": name, "host": {"sourcePath": source}} for name, source, _, _ in _VOLUMES],
            "mountPoints": [
                {"sourceVolume": name, "containerPath": path, "readOnly": read_only}
                for name, _, path, read_only in _VOLUMES
            ],
        },
        "retryStrategy": RETRY_STRATEGY,
        "timeout": {"attemptDurationSeconds": timeout_seconds},
        "propagateTags": True,
    }
