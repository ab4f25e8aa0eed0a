"""The event source mapping itself: batches, partial failures, and patience while SQS is away."""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.poller.invocation import Handler, invoke
from local.poller.records import event_of
from local.poller.responses import failed_ids

logger = logging.getLogger(__name__)

_MOST_PER_RECEIVE = 10  # ReceiveMessage and DeleteMessageBatch take ten at most
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0
_DELETE_TRIES = 3
_CONFIG = Config(connect_timeout=2, read_timeout=30, retries={"mode": "standard", "max_attempts": 1})
_AWAY = (ClientError, BotoCoreError)

Message = dict[str, Any]


class MappingInvalid(Exception):
    """Lambda would refuse to make this event source mapping."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MappingSettings:
    """Raises MappingInvalid for what CreateEventSourceMapping refuses.

    `receive_wait_seconds` is how long an empty queue is listened to, and so how long a stop may take.
    """

    queue_url: str
    function_name: str = "function"
    batch_size: int = 10
    batching_window_seconds: float = 0.0
    function_timeout_seconds: float = 30.0
    receive_wait_seconds: int = 2

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= 10_000:
            raise MappingInvalid("BatchSize must be between 1 and 10000")
        if not 0 <= self.batching_window_seconds <= 300:
            raise MappingInvalid("MaximumBatchingWindowInSeconds must be between 0 and 300")
        if self.batch_size > _MOST_PER_RECEIVE and self.batching_window_seconds < 1:
            raise MappingInvalid("a BatchSize above 10 needs a MaximumBatchingWindowInSeconds of at least 1")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one batch, message ids."""

    deleted: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()

    @property
    def received(self) -> int:
        return len(self.deleted) + len(self.left)


class Poller:
    """One of the mapping's pollers. Each thread needs its own."""

    def __init__(self, settings: MappingSettings, handler: Handler, client: Any = None) -> None:
        self._settings, self._handler = settings, handler
        self._own_client = client is None
        self._sqs: Any = client or boto3.client("sqs", config=_CONFIG)
        self._queue_arn: str | None = None

    def run(self, stop: threading.Event) -> None:
        """Until `stop` is set; the batch in hand is finished. Raises MappingInvalid."""
        pause = _FIRST_PAUSE_SECONDS
        try:
            while not stop.is_set():
                try:
                    self.poll_once(stop)
                    pause = _FIRST_PAUSE_SECONDS
                except _AWAY as exc:
                    logger.warning("SQS is away, trying again in %.1f s: %s", pause, exc)
                    stop.wait(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        finally:
            self.close()

    def close(self) -> None:
        if self._own_client:
            self._sqs.close()

    def poll_once(self, stop: threading.Event | None = None) -> Outcome:
        """Receives a batch, calls the function, deletes what was processed.

        Raises BotoCoreError or ClientError while SQS is away, MappingInvalid.
        """
        queue_arn = self._queue_arn or self._look_up_queue()
        messages = self._receive_batch(stop)
        if not messages:
            return Outcome()
        ids = frozenset(message["MessageId"] for message in messages)
        left = self._process(messages, ids, queue_arn)
        self._delete([message for message in messages if message["MessageId"] not in left])
        return Outcome(deleted=ids - left, left=left)

    def _look_up_queue(self) -> str:
        """Lambda refuses a queue whose visibility timeout is shorter than the function's own timeout."""
        answer = self._sqs.get_queue_attributes(
            QueueUrl=self._settings.queue_url, AttributeNames=["QueueArn", "VisibilityTimeout"]
        )
        visibility = int(answer["Attributes"]["VisibilityTimeout"])
        if visibility < self._settings.function_timeout_seconds:
            raise MappingInvalid(
                f"Queue visibility timeout: {visibility} seconds is less than "
                f"Function timeout: {self._settings.function_timeout_seconds:g} seconds"
            )
        arn: str = answer["Attributes"]["QueueArn"]
        self._queue_arn = arn
        return arn

    def _receive_batch(self, stop: threading.Event | None) -> list[Message]:
        """Until the batch is full, or the batching window since the first message is over."""
        messages = self._receive(self._settings.batch_size, self._settings.receive_wait_seconds)
        if not messages:
            return []
        window_ends = time.monotonic() + self._settings.batching_window_seconds
        while len(messages) < self._settings.batch_size and not (stop and stop.is_set()):
            left = window_ends - time.monotonic()
            if left <= 0:
                break
            wait = min(int(left), self._settings.receive_wait_seconds)
            more = self._receive(self._settings.batch_size - len(messages), wait)
            if not more and not wait:
                time.sleep(min(left, 0.05))
            messages += more
        return messages

    def _receive(self, most: int, wait_seconds: int) -> list[Message]:
        answer = self._sqs.receive_message(
            QueueUrl=self._settings.queue_url,
            MaxNumberOfMessages=min(most, _MOST_PER_RECEIVE),
            WaitTimeSeconds=wait_seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        messages: list[Message] = answer.get("Messages", [])
        return messages

    def _process(self, messages: Sequence[Message], ids: frozenset[str], queue_arn: str) -> frozenset[str]:
        """ "If your function throws an exception, the entire batch is considered a complete failure." """
        settings = self._settings
        try:
            response = invoke(
                self._handler,
                event_of(messages, queue_arn),
                function_name=settings.function_name,
                timeout_seconds=settings.function_timeout_seconds,
            )
            left = failed_ids(response, ids)
        except (KeyboardInterrupt, SystemExit, Exception):
            logger.exception("the function failed; %d messages stay in the queue", len(ids))
            return ids
        logger.info("%d messages processed, %d left in the queue", len(ids) - len(left), len(left))
        return left

    def _delete(self, messages: Sequence[Message]) -> None:
        """Messages that cannot be deleted come again: SQS delivers at least once, and a function must bear it."""
        for first in range(0, len(messages), _MOST_PER_RECEIVE):
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages[first : first + _MOST_PER_RECEIVE])
            ]
            for attempt in range(1, _DELETE_TRIES + 1):
                try:
                    self._sqs.delete_message_batch(QueueUrl=self._settings.queue_url, Entries=entries)
                    break
                except _AWAY as exc:
                    logger.warning("processed messages not deleted (try %d): %s", attempt, exc)
                    time.sleep(_FIRST_PAUSE_SECONDS * attempt)
