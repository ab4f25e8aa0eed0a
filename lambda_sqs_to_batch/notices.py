"""The way back to the backend: a message in the queue of job events."""

from functools import cached_property
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from contract.notices import Notice
from lambda_sqs_to_batch.errors import SubmissionPostponed

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

_CONFIG = Config(retries={"mode": "standard", "max_attempts": 2}, connect_timeout=2, read_timeout=4)


class NoticeQueue:
    def __init__(self, url: str) -> None:
        self._url = url

    @cached_property
    def _client(self) -> "SQSClient":
        # Made when it is first needed: most containers never send anything.
        return boto3.client("sqs", config=_CONFIG)

    def send(self, notice: Notice) -> None:
        """Raises SubmissionPostponed: the record is tried again, and if nothing helps it becomes a dead letter."""
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=notice.to_json())
        except (ClientError, BotoCoreError) as exc:
            raise SubmissionPostponed(f"the worker could not be told: {exc}") from exc
