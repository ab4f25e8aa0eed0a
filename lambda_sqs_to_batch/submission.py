"""Decides what SubmitJob is asked; touches nothing."""

from typing import TYPE_CHECKING

from contract.jobs import REQUEST_VARIABLE, array_size, attempts_of, job_name
from contract.messages import AnalysisRequest
from contract.plans import SHARES
from lambda_sqs_to_batch.settings import Settings

if TYPE_CHECKING:
    from types_boto3_batch.type_defs import SubmitJobRequestTypeDef


def submission_for(request: AnalysisRequest, body: str, settings: Settings) -> "SubmitJobRequestTypeDef":
    """Arguments of SubmitJob. `body` is the request as it came, forwarded to the job to the letter.

    The rules of retrying stand in the job definition, and so does the time limit where no quote gives one.
    """
    share = SHARES[request.plan]
    size = array_size(request.video_seconds, request.options)
    arguments: SubmitJobRequestTypeDef = {
        "jobName": job_name(request.analysis_id, on_demand=request.on_demand),
        "jobQueue": settings.queue_for(request),
        "jobDefinition": settings.job_definition,
        "shareIdentifier": share.identifier,
        "schedulingPriorityOverride": share.scheduling_priority,
        "containerOverrides": {"environment": [{"name": REQUEST_VARIABLE, "value": body}]},
        "tags": {"analysis_id": str(request.analysis_id), "plan": request.plan.value},
    }
    if request.on_demand:
        arguments["retryStrategy"] = {"attempts": attempts_of(on_demand=True)}
    if request.timeout_seconds is not None:
        arguments["timeout"] = {"attemptDurationSeconds": request.timeout_seconds}
    if size is not None:
        arguments["arrayProperties"] = {"size": size}
    return arguments
