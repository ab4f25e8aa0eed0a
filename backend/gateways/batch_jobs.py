"""AWS Batch, as the worker sees it: jobs that can be looked at and ended."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backend.gateways.clients import client
from backend.gateways.errors import BatchUnavailable

BATCH = 100  # the most that one DescribeJobs takes


class BatchJobs:
    @cached_property
    def _client(self) -> Any:
        return client("batch")

    def terminate(self, job_id: str, *, reason: str) -> None:
        """Ends a job wherever it stands, and an array with all its jobs; harmless for one that has ended.

        A job that AWS Batch does not know counts as ended: it forgets jobs a week after their end. Raises
        BatchUnavailable.
        """
        try:
            self._client.terminate_job(jobId=job_id, reason=reason)
        except (BotoCoreError, ClientError) as exc:
            if not (isinstance(exc, ClientError) and self._is_unknown(job_id)):
                raise BatchUnavailable(f"TerminateJob: {exc}") from exc

    def _is_unknown(self, job_id: str) -> bool:
        """What TerminateJob says of such a job could also be said of one that may not be terminated."""
        return not self.describe([job_id])

    def describe(self, job_ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """At most BATCH jobs; those that AWS Batch does not know are left out. Raises BatchUnavailable."""
        try:
            return list(self._client.describe_jobs(jobs=list(job_ids))["jobs"])
        except (BotoCoreError, ClientError) as exc:
            raise BatchUnavailable(f"DescribeJobs: {exc}") from exc
