"""Rules of AWS Batch that botocore's model does not hold. Source: the AWS Batch API reference, pages as named.

Every function raises ClientException, as AWS Batch answers.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from local.batch.errors import ClientException

MAX_ENVIRONMENTS_PER_QUEUE = 3
MAX_DEPENDENCIES = 20
MIN_TIMEOUT_SECONDS = 60

_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_SHARE = re.compile(r"[A-Za-z0-9]{1,255}")
_SHARE_PATTERN = re.compile(r"[A-Za-z0-9]{1,255}\*?|[A-Za-z0-9]{0,255}\*")
_IMAGE = re.compile(r"[A-Za-z0-9_.:/#@-]{1,255}")
_TEXT_GLOB = re.compile(r"[A-Za-z0-9.:\s]{0,512}\*?")
_EXIT_CODE_GLOB = re.compile(r"[0-9]{0,512}\*?")
_RESERVED_VARIABLES = "AWS_BATCH"


def check_name(name: str, what: str) -> None:
    if not _NAME.fullmatch(name):
        raise ClientException(f"{what} should match valid pattern: {_NAME.pattern}")


def check_job_name(name: str) -> None:
    """SubmitJob: up to 128 letters, the first alphanumeric; letters, numbers, hyphens and underscores."""
    if not _JOB_NAME.fullmatch(name):
        raise ClientException(f"Job name should match valid pattern: {_JOB_NAME.pattern}")


def check_range(value: int | None, lowest: int, highest: int, what: str) -> None:
    if value is not None and not lowest <= value <= highest:
        raise ClientException(f"{what} must be between {lowest} and {highest}")


def check_retry_strategy(strategy: Mapping[str, Any] | None) -> None:
    """RetryStrategy, EvaluateOnExit: 1 to 10 attempts, up to 5 rules, patterns of a narrow alphabet."""
    if strategy is None:
        return
    check_range(strategy.get("attempts"), 1, 10, "Retry strategy attempts")
    rules = strategy.get("evaluateOnExit", [])
    if rules and "attempts" not in strategy:
        raise ClientException(
            "If evaluateOnExit is specified, then the attempts parameter must also be specified."
        )
    if len(rules) > 5:
        raise ClientException("evaluateOnExit can contain up to 5 objects.")
    for rule in rules:
        patterns = {"onStatusReason": _TEXT_GLOB, "onReason": _TEXT_GLOB, "onExitCode": _EXIT_CODE_GLOB}
        if not any(name in rule for name in patterns):
            raise ClientException("evaluateOnExit: one of onStatusReason, onReason, onExitCode must be specified.")
        for name, pattern in patterns.items():
            if name in rule and (not rule[name] or not pattern.fullmatch(rule[name])):
                raise ClientException(f"evaluateOnExit.{name} {rule[name]!r} should match {pattern.pattern}")


def check_timeout(timeout: Mapping[str, Any] | None) -> None:
    """JobTimeout: "The minimum value for the timeout is 60 seconds." """
    if timeout is None:
        return
    seconds = timeout.get("attemptDurationSeconds")
    if seconds is None or seconds < MIN_TIMEOUT_SECONDS:
        raise ClientException(f"attemptDurationSeconds must be at least {MIN_TIMEOUT_SECONDS} seconds.")


def check_environment(pairs: Iterable[Mapping[str, str]]) -> None:
    """ "Environment variables cannot start with "AWS_BATCH". This naming convention is reserved [...]" """
    for pair in pairs:
        if not pair.get("name"):
            raise ClientException("Environment variable name must not be empty.")
        if pair["name"].startswith(_RESERVED_VARIABLES):
            raise ClientException(f"Environment variable {pair['name']}: names cannot start with AWS_BATCH.")


def check_resources(container: Mapping[str, Any], *, complete: bool) -> None:
    """ResourceRequirement: vCPUs and memory (at least 4 MiB) are required on EC2; GPUs are whole.

    `complete` is off for overrides, which may change one amount alone.
    """
    wanted: dict[str, str] = {}
    for item in container.get("resourceRequirements", ()):
        if item["type"] in wanted:
            raise ClientException(f"resourceRequirements: {item['type']} is given twice.")
        wanted[item["type"]] = item["value"]
    for kind, value in wanted.items():
        lowest = 4 if kind == "MEMORY" else 1
        if not value.isdecimal() or int(value) < lowest:
            raise ClientException(f"resourceRequirements: {kind} must be a whole number of at least {lowest}.")
    for kind, older in (("VCPU", "vcpus"), ("MEMORY", "memory")):
        if kind in wanted and older in container:
            raise ClientException(f"Container {older} and resourceRequirements {kind} must not both be specified.")
        if complete and kind not in wanted and older not in container:
            raise ClientException(f"Container properties must specify {kind} in resourceRequirements.")


def check_container(container: Mapping[str, Any]) -> None:
    """ContainerProperties of a job definition for EC2."""
    if not _IMAGE.fullmatch(container.get("image", "")):
        raise ClientException("Container properties image must not be empty, and up to 255 valid characters.")
    check_resources(container, complete=True)
    check_environment(container.get("environment", ()))
    volumes = {volume.get("name") for volume in container.get("volumes", ())}
    for mount in container.get("mountPoints", ()):
        if mount.get("sourceVolume") not in volumes:
            raise ClientException(f"mountPoints: volume {mount.get('sourceVolume')!r} is not among the volumes.")
    for name in ("fargatePlatformConfiguration", "networkConfiguration", "ephemeralStorage"):
        if name in container:
            raise ClientException(f"{name} is only for jobs that run on Fargate resources.")


def check_overrides(overrides: Mapping[str, Any]) -> None:
    check_environment(overrides.get("environment", ()))
    check_resources(overrides, complete=False)
    if "" in overrides.get("command", ()):
        raise ClientException("containerOverrides command: This parameter can't contain an empty string.")


def check_definition(parameters: Mapping[str, Any]) -> None:
    """RegisterJobDefinition of single-container jobs, the only ones that the stand-in runs."""
    check_name(parameters["jobDefinitionName"], "Job definition name")
    if parameters["type"] != "container" or "containerProperties" not in parameters:
        raise ClientException("Only type container with containerProperties is supported here.")
    if parameters.get("platformCapabilities", ["EC2"]) != ["EC2"]:
        raise ClientException("Only the platform capability EC2 is supported here.")
    for other in ("nodeProperties", "eksProperties", "ecsProperties"):
        if other in parameters:
            raise ClientException(f"containerProperties can't be used in addition to {other}.")
    check_container(parameters["containerProperties"])
    check_retry_strategy(parameters.get("retryStrategy"))
    check_timeout(parameters.get("timeout"))
    check_range(parameters.get("schedulingPriority"), 0, 9999, "Scheduling priority")


def check_submission(parameters: Mapping[str, Any], *, has_scheduling_policy: bool) -> None:
    """SubmitJob, as far as it can be judged without the other jobs."""
    check_job_name(parameters["jobName"])
    share = parameters.get("shareIdentifier")
    if has_scheduling_policy and share is None:
        raise ClientException("Share identifier must be specified for a job queue with a scheduling policy.")
    if not has_scheduling_policy and share is not None:
        raise ClientException("Share identifier can't be specified for a job queue without a scheduling policy.")
    if share is not None and not _SHARE.fullmatch(share):
        raise ClientException(f"Share identifier should match valid pattern: {_SHARE.pattern}")
    check_range(parameters.get("schedulingPriorityOverride"), 0, 9999, "Scheduling priority override")
    if "arrayProperties" in parameters:
        check_range(parameters["arrayProperties"].get("size", 0), 2, 10_000, "Array size")
    check_retry_strategy(parameters.get("retryStrategy"))
    check_timeout(parameters.get("timeout"))
    check_overrides(parameters.get("containerOverrides", {}))
    for other in ("nodeOverrides", "eksPropertiesOverride", "ecsPropertiesOverride"):
        if other in parameters:
            raise ClientException(f"{other} does not fit a job definition of type container.")
    check_dependencies(parameters.get("dependsOn", ()), is_array="arrayProperties" in parameters)


def check_dependencies(dependencies: Iterable[Mapping[str, str]], *, is_array: bool) -> None:
    """JobDependency: up to 20; SEQUENTIAL needs no job id and N_TO_N needs one, both only for array jobs."""
    listed = list(dependencies)
    if len(listed) > MAX_DEPENDENCIES:
        raise ClientException(f"A job can depend upon a maximum of {MAX_DEPENDENCIES} jobs.")
    for dependency in listed:
        kind = dependency.get("type")
        if kind is not None and not is_array:
            raise ClientException(f"Dependency type {kind} can only be specified for array jobs.")
        if kind != "SEQUENTIAL" and not dependency.get("jobId"):
            raise ClientException("Dependency job ID must be specified.")


def check_fairshare_policy(policy: Mapping[str, Any]) -> None:
    """FairsharePolicy, ShareAttributes: bounds, and identifiers that do not overlap."""
    check_range(policy.get("shareDecaySeconds"), 0, 604_800, "shareDecaySeconds")
    check_range(policy.get("computeReservation"), 0, 99, "computeReservation")
    seen: list[str] = []
    for entry in policy.get("shareDistribution", ()):
        identifier, weight = entry["shareIdentifier"], entry.get("weightFactor", 1.0)
        if not _SHARE_PATTERN.fullmatch(identifier):
            raise ClientException(f"shareIdentifier {identifier!r} should match {_SHARE_PATTERN.pattern}")
        if not 0.0001 <= weight <= 999.9999:
            raise ClientException("weightFactor must be between 0.0001 and 999.9999")
        if any(_overlap(identifier, other) for other in seen):
            raise ClientException(f"The list of share identifiers can't overlap: {identifier}")
        seen.append(identifier)


def _overlap(one: str, other: str) -> bool:
    def covers(pattern: str, text: str) -> bool:
        return text.startswith(pattern[:-1]) if pattern.endswith("*") else pattern == text

    return covers(one, other.rstrip("*")) or covers(other, one.rstrip("*"))
