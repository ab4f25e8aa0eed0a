"""Jobs in the forms of the API: JobDetail for DescribeJobs and for events, JobSummary for ListJobs."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from local.batch.jobs import Attempt, Job, JobStatus

_CONTAINER_LISTS = ("volumes", "environment", "mountPoints", "ulimits", "resourceRequirements", "secrets")


def job_detail(job: Job, children: Iterable[Job] = ()) -> dict[str, Any]:
    document: dict[str, Any] = {
        "jobArn": job.arn,
        "jobName": job.name,
        "jobId": job.id,
        "jobQueue": job.queue_arn,
        "status": job.status.value,
        "attempts": [_attempt_detail(attempt) for attempt in job.attempts],
        "createdAt": job.created_at,
        "retryStrategy": {"attempts": 1, "evaluateOnExit": [], **job.retry_strategy},
        "dependsOn": job.depends_on,
        "jobDefinition": job.definition_arn,
        "parameters": job.parameters,
        "container": _container_detail(job),
        "tags": job.tags,
        "propagateTags": job.propagate_tags,
        "platformCapabilities": job.platform_capabilities,
        "eksAttempts": [],
        "isCancelled": job.is_cancelled,
        "isTerminated": job.is_terminated,
    }
    optional = {
        "statusReason": job.status_reason,
        "startedAt": job.started_at,
        "stoppedAt": job.stopped_at,
        "shareIdentifier": job.share,
        "schedulingPriority": job.priority if job.share is not None else None,
        "timeout": None if job.timeout_seconds is None else {"attemptDurationSeconds": job.timeout_seconds},
        "arrayProperties": _array_properties(job, children),
    }
    return document | _present(optional)


def job_summary(job: Job, children: Iterable[Job] = ()) -> dict[str, Any]:
    document: dict[str, Any] = {
        "jobArn": job.arn,
        "jobId": job.id,
        "jobName": job.name,
        "createdAt": job.created_at,
        "status": job.status.value,
        "jobDefinition": job.definition_arn,
    }
    last = job.attempts[-1] if job.attempts else None
    optional = {
        "statusReason": job.status_reason,
        "startedAt": job.started_at,
        "stoppedAt": job.stopped_at,
        "shareIdentifier": job.share,
        "container": _present({"exitCode": last.exit_code, "reason": last.reason}) if last else None,
        "arrayProperties": _array_properties(job, children),
        # "This field is only present when the value is true."
        "isCancelled": job.is_cancelled or None,
        "isTerminated": job.is_terminated or None,
    }
    return document | _present(optional)


def _container_detail(job: Job) -> dict[str, Any]:
    detail: dict[str, Any] = {name: [] for name in _CONTAINER_LISTS} | {"networkInterfaces": []} | job.container
    attempt = job.current or (job.attempts[-1] if job.attempts else None)
    if attempt is not None:
        detail |= _attempt_container(attempt)
    return detail


def _attempt_detail(attempt: Attempt) -> dict[str, Any]:
    return {
        "container": _attempt_container(attempt) | {"networkInterfaces": []},
        **_present(
            {
                "startedAt": attempt.started_at,
                "stoppedAt": attempt.stopped_at,
                "statusReason": attempt.status_reason,
            }
        ),
        "taskProperties": [],
    }


def _attempt_container(attempt: Attempt) -> dict[str, Any]:
    return _present(
        {
            "containerInstanceArn": attempt.container_instance_arn,
            "taskArn": attempt.task_arn,
            "exitCode": attempt.exit_code,
            "reason": attempt.reason,
            # "Each container attempt receives a log stream name when they reach the RUNNING status."
            "logStreamName": attempt.log_stream_name if attempt.started_at is not None else None,
        }
    )


def _array_properties(job: Job, children: Iterable[Job]) -> dict[str, Any] | None:
    if job.index is not None:
        return {"index": job.index}
    if job.array_size is None:
        return None
    counts = Counter(child.status for child in children)
    return {"size": job.array_size, "statusSummary": {status.value: counts[status] for status in JobStatus}}


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
