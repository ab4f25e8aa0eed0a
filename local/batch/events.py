"""Job state change events, as EventBridge delivers them to an SQS queue ("AWS Batch events" in the user guide)."""

import contextlib
import itertools
import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.batch.effects import Change
from local.batch.registry import Place

logger = logging.getLogger(__name__)

_BATCH = 10  # SendMessageBatch takes no more
_LINGER_SECONDS = 0.1  # EventBridge takes about half a second; what comes meanwhile shares a call
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
                if self._waiting.empty():
                    time.sleep(_LINGER_SECONDS)
                self._send([json.dumps(one) for one in (event, *itertools.islice(self._others(), _BATCH - 1))])
        finally:
            if self._client is not None:
                self._client.close()

    def _others(self) -> Iterator[Event]:
        """That wait as well, up to the end."""
        with contextlib.suppress(queue.Empty):
            while (event := self._waiting.get_nowait()) is not None:
                yield event
            self._waiting.put(None)

    def _send(self, bodies: list[str]) -> None:
        wait = _FIRST_WAIT_SECONDS
        while bodies and not self._closing.is_set():
            try:
                if self._client is None:
                    self._client = boto3.client("sqs", config=_CONFIG)
                entries = [{"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies)]
                answer = self._client.send_message_batch(QueueUrl=self._queue_url, Entries=entries)
                refused = answer.get("Failed", ())
                if not refused:
                    return
                bodies = [bodies[int(entry["Id"])] for entry in refused]
                cause: object = refused[0]
            except (ClientError, BotoCoreError) as exc:
                cause = exc
            logger.warning("%d job events not delivered, trying again in %.1f s: %s", len(bodies), wait, cause)
            self._closing.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
