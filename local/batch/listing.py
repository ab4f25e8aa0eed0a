"""ListJobs: which jobs, in which order, page by page (its page in the AWS Batch API reference)."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from local.batch import rules
from local.batch.documents import job_summary
from local.batch.errors import ClientException
from local.batch.jobs import Job, JobStatus
from local.batch.scheduler import Scheduler

_MOST_WITH_FILTERS, _MOST = 100, 1000


def list_jobs(scheduler: Scheduler, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """ "You must specify only one of the following items": a queue, an array job or a multi-node job.

    Raises ClientException.
    """
    if sum(name in parameters for name in ("jobQueue", "arrayJobId", "multiNodeJobId")) != 1:
        raise ClientException("Specify exactly one of jobQueue, arrayJobId and multiNodeJobId.")
    filters = parameters.get("filters", [])
    most = _MOST_WITH_FILTERS if filters else _MOST
    rules.check_range(parameters.get("maxResults"), 1, most, "maxResults")
    _check_filters(filters)
    chosen = [job for job in _scope(scheduler, parameters, filters) if _wanted(job, parameters, filters)]
    # "The results are sorted by the createdAt field, with the most recent jobs being first."
    chosen.sort(key=_place_in_list)
    page, next_token = page_of(chosen, parameters, most, _place_in_list)
    answer: dict[str, Any] = {
        "jobSummaryList": [job_summary(job, scheduler.children.get(job.id, ())) for job in page],
        **next_token,
    }
    return answer


def _scope(scheduler: Scheduler, parameters: Mapping[str, Any], filters: list[Mapping[str, Any]]) -> Iterable[Job]:
    if "multiNodeJobId" in parameters:
        raise ClientException("Multi-node parallel jobs are not supported here.")
    if "arrayJobId" in parameters:
        parent = scheduler.jobs.get(parameters["arrayJobId"])
        if parent is None or not parent.is_array_parent:
            raise ClientException(f"Array job {parameters['arrayJobId']} does not exist.")
        return scheduler.children.get(parent.id, [])
    arn = scheduler.registry.queue(parameters["jobQueue"])["jobQueueArn"]
    return [job for job in _may_match(scheduler, filters) if job.queue_arn == arn and job.index is None]


def _may_match(scheduler: Scheduler, filters: list[Mapping[str, Any]]) -> Iterable[Job]:
    """Each submission asks for one name: of thousands of jobs those that bear it are looked at, and no others."""
    names = filters[0]["values"] if filters and filters[0]["name"] == "JOB_NAME" else None
    if names is None or any(name.endswith("*") for name in names):
        return scheduler.jobs.values()
    return (job for name in {name.lower() for name in names} for job in scheduler.named.get(name, ()))


def _check_filters(filters: list[Mapping[str, Any]]) -> None:
    if len(filters) > 1:
        raise ClientException("Only one filter can be used at a time.")
    for entry in filters:
        name, values = entry.get("name"), entry.get("values")
        if name not in _FILTERS or not values:
            raise ClientException(
                f"filters: the name must be one of {', '.join(_FILTERS)}, with at least one value."
            )
        if name.endswith("CREATED_AT") and not all(map(str.isdecimal, values)):
            raise ClientException(f"filters: {name} takes times in milliseconds.")


def _wanted(job: Job, parameters: Mapping[str, Any], filters: list[Mapping[str, Any]]) -> bool:
    """ "If the filters parameter is specified, the jobStatus parameter is ignored and jobs with any status are
    returned. The exception is the SHARE_IDENTIFIER filter"; "If you don't specify a status, only RUNNING jobs are
    returned."
    """
    if not filters:
        return bool(job.status == parameters.get("jobStatus", JobStatus.RUNNING))
    name, values = filters[0]["name"], filters[0]["values"]
    if name == "SHARE_IDENTIFIER" and "jobStatus" in parameters and job.status != parameters["jobStatus"]:
        return False
    return any(_FILTERS[name](job, value) for value in values)


def _starts_or_is(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _has_definition(job: Job, value: str) -> bool:
    """The filter's value is the name or the ARN of the job definition; its case matters."""
    return _starts_or_is(job.definition_arn if value.startswith("arn:") else job.definition_name, value)


_FILTERS: dict[str, Callable[[Job, str], bool]] = {
    # "The value of the filter is a case-insensitive match for the job name."
    "JOB_NAME": lambda job, value: _starts_or_is(job.name.lower(), value.lower()),
    "JOB_DEFINITION": _has_definition,
    "BEFORE_CREATED_AT": lambda job, value: job.created_at < int(value),
    "AFTER_CREATED_AT": lambda job, value: job.created_at > int(value),
    "SHARE_IDENTIFIER": lambda job, value: job.share == value,
}


def _place_in_list(job: Job) -> tuple[int, ...]:
    return (-job.order, job.index or 0)


def page_of(
    items: list[Any], parameters: Mapping[str, Any], most: int, key: Callable[[Any], tuple[int, ...]]
) -> tuple[list[Any], dict[str, str]]:
    """The items after `nextToken`, at most `maxResults`, and the next token if there are more.

    The token holds the last item's key, so that jobs submitted meanwhile move nothing. Raises ClientException.
    """
    token = parameters.get("nextToken")
    if token:
        after = _from_token(token)
        items = [item for item in items if key(item) > after]
    size = parameters.get("maxResults", most)
    page = items[:size]
    return page, ({"nextToken": _to_token(key(page[-1]))} if len(items) > size else {})


def _to_token(key: tuple[int, ...]) -> str:
    return base64.urlsafe_b64encode(",".join(map(str, key)).encode()).decode()


def _from_token(token: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in base64.urlsafe_b64decode(token).decode().split(","))
    except (ValueError, binascii.Error) as exc:
        raise ClientException("Invalid nextToken.") from exc
