"""Job state change events, as EventBridge delivers them to an SQS queue ("AWS Batch events" in the user guide)."""

import json
import logging
import queue
import threading
import uuid
from datetime import UTC, datetime
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.batch.effects import Change
from local.batch.registry import Place

logger = logging.getLogger(__name__)

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 5.0
_CONFIG = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "max_attempts": 1})

Event = dict[str, Any]


def event_of(change: Change, place: Place) -> Event:
    """The documented shape. `time` has whole seconds, so that two events of one job may carry the same."""
    resources = [change.detail["jobArn"]]
    if change.blocks_queue:
        resources.append(change.detail["jobQueue"])
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Batch Job Queue Blocked" if change.blocks_queue else "Batch Job State Change",
        "source": "aws.batch",
        "account": place.account,
        "time": datetime.fromtimestamp(change.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": place.region,
        "resources": resources,
        "detail": change.detail,
    }


class EventSink(Protocol):
    def put(self, event: Event) -> None:
        """Never blocks and never raises."""

    def close(self) -> None:
        """Gives what is not yet delivered a last chance."""


class NoEvents:
    def put(self, event: Event) -> None:
        pass

    def close(self) -> None:
        pass


class SqsEvents:
    """Sends in the background; waits and tries again while SQS is away, so that nothing is lost while it lives."""

    def __init__(self, queue_url: str, client: Any = None, *, last_chance_seconds: float = 2.0) -> None:
        self._queue_url = queue_url
        self._client = client
        self._last_chance_seconds = last_chance_seconds
        self._waiting: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._deliver, name="job-events", daemon=True)
        self._thread.start()

    def put(self, event: Event) -> None:
        self._waiting.put(event)

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join(self._last_chance_seconds)
        self._closing.set()
        self._thread.join()

    def _deliver(self) -> None:
        try:
            while (event := self._waiting.get()) is not None:
                self._send(json.dumps(event))
        finally:
            if self._client is not None:
                self._client.close()

    def _send(self, body: str) -> None:
        wait = _FIRST_WAIT_SECONDS
        while not self._closing.is_set():
            try:
                if self._client is None:
                    self._client = boto3.client("sqs", config=_CONFIG)
                self._client.send_message(QueueUrl=self._queue_url, MessageBody=body)
                return
            except (ClientError, BotoCoreError) as exc:
                logger.warning("job event not delivered, trying again in %.1f s: %s", wait, exc)
                self._closing.wait(wait)
                wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
