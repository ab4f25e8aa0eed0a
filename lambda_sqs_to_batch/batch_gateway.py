"""The calls to AWS Batch, and what its refusals mean to a message."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from lambda_sqs_to_batch.errors import SubmissionPostponed, SubmissionRefused

if TYPE_CHECKING:
    from types_boto3_batch.client import BatchClient
    from types_boto3_batch.type_defs import SubmitJobRequestTypeDef

# Few tries, short waits: the queue tries again anyway. A call that hangs costs two waits and a second between.
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 2}, connect_timeout=2, read_timeout=4)
# About this request. A permission that is lacking is about all of them, and passes once it is granted.
_PERMANENT = frozenset({"ClientException", "ValidationException"})


class BatchGateway:
    def __init__(self, client: "BatchClient | None" = None) -> None:
        self._client = client or boto3.client("batch", config=_CONFIG)

    def existing_job(self, *, queue: str, name: str) -> str | None:
        """Id of a job of this name in any state, also a finished one, or None.

        Two deliveries at the same moment may both find none, and AWS Batch forgets finished jobs after a week; the
        job's claim is what keeps a second job from doing anything.

        Raises SubmissionPostponed or SubmissionRefused.
        """
        try:
            pages = self._client.get_paginator("list_jobs").paginate(
                jobQueue=queue, filters=[{"name": "JOB_NAME", "values": [name]}]
            )
            # The filter ignores case, so the name is compared again.
            found = (job["jobId"] for page in pages for job in page["jobSummaryList"] if job["jobName"] == name)
            return next(found, None)
        except (ClientError, BotoCoreError) as exc:
            raise _translated(exc) from exc

    def submit(self, arguments: "SubmitJobRequestTypeDef") -> str:
        """Returns the job's id. Raises SubmissionPostponed or SubmissionRefused."""
        try:
            return self._client.submit_job(**arguments)["jobId"]
        except (ClientError, BotoCoreError) as exc:
            raise _translated(exc) from exc


def _translated(exc: ClientError | BotoCoreError) -> SubmissionPostponed | SubmissionRefused:
    """Throttling, server faults and a service out of reach pass; a request that Batch calls wrong stays wrong."""
    if isinstance(exc, ParamValidationError):
        return SubmissionRefused(str(exc))
    if isinstance(exc, ClientError):
        error = exc.response.get("Error", {})
        if error.get("Code") in _PERMANENT:
            return SubmissionRefused(f"{error.get('Code')}: {error.get('Message')}")
    return SubmissionPostponed(str(exc))
