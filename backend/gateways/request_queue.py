"""The SQS queue of analysis requests, as the backend sees it: something that takes messages."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backend.gateways.clients import client
from backend.gateways.errors import QueueUnavailable

BATCH = 10  # the most that one SendMessageBatch takes


class RequestQueue:
    def __init__(self, url: str) -> None:
        self.url = url

    @cached_property
    def _client(self) -> Any:
        return client("sqs")

    def send(self, bodies: Sequence[str]) -> Mapping[int, str]:
        """Sends at most BATCH messages and returns the refused ones: position -> SQS's reason.

        Raises QueueUnavailable when none or an unknown number of them arrived.
        """
        entries = [{"Id": str(position), "MessageBody": body} for position, body in enumerate(bodies)]
        try:
            reply = self._client.send_message_batch(QueueUrl=self.url, Entries=entries)
        except (BotoCoreError, ClientError) as exc:
            raise QueueUnavailable("SendMessageBatch") from exc
        return {
            int(failure["Id"]): f"{failure['Code']}: {failure.get('Message', '')}"
            for failure in reply.get("Failed", ())
        }
