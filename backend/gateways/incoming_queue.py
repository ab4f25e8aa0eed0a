"""An SQS queue that the worker reads: job events, and the dead letters of requests."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backend.gateways.clients import READ_SECONDS, client
from backend.gateways.errors import QueueUnavailable

BATCH = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class ReceivedMessage:
    message_id: str
    receipt: str
    body: str


class IncomingQueue:
    def __init__(self, url: str, *, wait_seconds: int = 10) -> None:
        self.url = url
        self._wait_seconds = wait_seconds

    @cached_property
    def _client(self) -> Any:
        return client("sqs", read_seconds=READ_SECONDS + self._wait_seconds)

    def receive(self) -> list[ReceivedMessage]:
        """Waits for messages, up to `wait_seconds`. Raises QueueUnavailable."""
        try:
            reply = self._client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=BATCH, WaitTimeSeconds=self._wait_seconds
            )
        except (BotoCoreError, ClientError) as exc:
            raise QueueUnavailable("ReceiveMessage") from exc
        return [
            ReceivedMessage(
                message_id=message["MessageId"], receipt=message["ReceiptHandle"], body=message["Body"]
            )
            for message in reply.get("Messages", ())
        ]

    def delete(self, messages: Sequence[ReceivedMessage]) -> None:
        """What is not deleted comes again, which is harmless. Raises QueueUnavailable."""
        if not messages:
            return
        entries = [
            {"Id": str(position), "ReceiptHandle": message.receipt} for position, message in enumerate(messages)
        ]
        try:
            self._client.delete_message_batch(QueueUrl=self.url, Entries=entries)
        except (BotoCoreError, ClientError) as exc:
            raise QueueUnavailable("DeleteMessageBatch") from exc

    def release(self, messages: Sequence[ReceivedMessage]) -> None:
        """Gives messages back at once instead of after the visibility timeout; best effort."""
        if not messages:
            return
        entries = [
            {"Id": str(position), "ReceiptHandle": message.receipt, "VisibilityTimeout": 0}
            for position, message in enumerate(messages)
        ]
        with contextlib.suppress(BotoCoreError, ClientError):
            self._client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)
