"""The operations of the API: each takes checked parameters and gives the document that is answered."""

from collections.abc import Callable, Mapping
from typing import Any

from local.batch import rules
from local.batch.documents import job_detail
from local.batch.errors import ClientException, NotImplementedHere
from local.batch.listing import list_jobs, page_of
from local.batch.model import Operation, check_form
from local.batch.scheduler import Scheduler
from local.batch.service import BatchService

Document = dict[str, Any]
Parameters = Mapping[str, Any]

_MOST_DESCRIBED = 100


class Api:
    def __init__(self, service: BatchService) -> None:
        self._service = service

    def answer(self, operation: Operation, parameters: Any) -> Document:
        """Raises ApiError."""
        action = _ACTIONS.get(operation.name)
        if action is None:
            raise NotImplementedHere(f"{operation.name} is not implemented by the stand-in.")
        check_form(operation, parameters)
        return self._service.apply(lambda scheduler, now: action(scheduler, parameters, now))


def _submit_job(scheduler: Scheduler, parameters: Parameters, now: float) -> Document:
    job = scheduler.submit(parameters, now)
    return {"jobArn": job.arn, "jobName": job.name, "jobId": job.id}


def _describe_jobs(scheduler: Scheduler, parameters: Parameters, now: float) -> Document:
    """ "A list of up to 100 job IDs." One that does not exist is left out."""
    if not 1 <= len(parameters["jobs"]) <= _MOST_DESCRIBED:
        raise ClientException(f"jobs must hold 1 to {_MOST_DESCRIBED} job IDs.")
    ids = (reference.rpartition("job/")[2] for reference in parameters["jobs"])
    found = (scheduler.jobs[job_id] for job_id in ids if job_id in scheduler.jobs)
    return {"jobs": [job_detail(job, scheduler.children.get(job.id, ())) for job in found]}


def _cancel_job(scheduler: Scheduler, parameters: Parameters, now: float) -> Document:
    scheduler.cancel(parameters["jobId"], _reason(parameters), now)
    return {}


def _terminate_job(scheduler: Scheduler, parameters: Parameters, now: float) -> Document:
    scheduler.terminate(parameters["jobId"], _reason(parameters), now)
    return {}


def _reason(parameters: Parameters) -> str:
    """ "This parameter has as limit of 1024 characters." """
    reason: str = parameters["reason"]
    rules.check_range(len(reason), 1, 1024, "The length of reason")
    return reason


def _describe_environments(scheduler: Scheduler, parameters: Parameters, now: float) -> Document:
    registry = scheduler.registry
    wanted = parameters.get("computeEnvironments")
    names = list(registry.environments) if wanted is None else [name.rpartition("/")[2] for name in wanted]
    found = [registry.environments[name] for name in names if name in registry.environments]
    return _page(found, parameters, "computeEnvironments")


def _describe_queues(scheduler: Scheduler, parameters: Parameters, now: float) -> Document:
    queues = scheduler.registry.queues.values()
    wanted = parameters.get("jobQueues")
    found = [
        queue for queue in queues if wanted is None or {queue["jobQueueName"], queue["jobQueueArn"]} & set(wanted)
    ]
    return _page(found, parameters, "jobQueues")


def _describe_policies(scheduler: Scheduler, parameters: Parameters, now: float) -> Document:
    policies = scheduler.registry.policies
    return {"schedulingPolicies": [policies[arn] for arn in parameters["arns"] if arn in policies]}


def _describe_definitions(scheduler: Scheduler, parameters: Parameters, now: float) -> Document:
    wanted = [reference.rpartition("/")[2] for reference in parameters.get("jobDefinitions", ())]
    name, status = parameters.get("jobDefinitionName"), parameters.get("status")
    if wanted and name:
        raise ClientException("jobDefinitions can't be used with jobDefinitionName.")

    def is_wanted(definition: Document) -> bool:
        own_name = definition["jobDefinitionName"]
        return (
            (not wanted or own_name in wanted or f"{own_name}:{definition['revision']}" in wanted)
            and (name is None or own_name == name.rpartition("/")[2])
            and (status is None or definition["status"] == status)
        )

    return _page(list(filter(is_wanted, scheduler.registry.all_definitions())), parameters, "jobDefinitions")


def _page(found: list[Document], parameters: Parameters, member: str) -> Document:
    rules.check_range(parameters.get("maxResults"), 1, _MOST_DESCRIBED, "maxResults")
    numbered = list(enumerate(found))
    page, next_token = page_of(numbered, parameters, _MOST_DESCRIBED, lambda item: (item[0],))
    return {member: [document for _, document in page], **next_token}


_ACTIONS: dict[str, Callable[[Scheduler, Parameters, float], Document]] = {
    "CancelJob": _cancel_job,
    "CreateComputeEnvironment": lambda scheduler, given, now: scheduler.registry.create_environment(given),
    "CreateJobQueue": lambda scheduler, given, now: scheduler.registry.create_queue(given),
    "CreateSchedulingPolicy": lambda scheduler, given, now: scheduler.registry.create_policy(given),
    "DeregisterJobDefinition": lambda scheduler, given, now: scheduler.registry.deregister_definition(given),
    "DescribeComputeEnvironments": _describe_environments,
    "DescribeJobDefinitions": _describe_definitions,
    "DescribeJobQueues": _describe_queues,
    "DescribeJobs": _describe_jobs,
    "DescribeSchedulingPolicies": _describe_policies,
    "ListJobs": lambda scheduler, given, now: list_jobs(scheduler, given),
    "RegisterJobDefinition": lambda scheduler, given, now: scheduler.registry.register_definition(given),
    "SubmitJob": _submit_job,
    "TerminateJob": _terminate_job,
    "UpdateJobQueue": lambda scheduler, given, now: scheduler.registry.update_queue(given),
}
