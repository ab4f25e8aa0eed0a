"""A moto server per worker: S3 and SQS over real HTTP, for this process and for the subprocesses it starts."""

import json
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import uuid4

import boto3
import botocore.session
import pytest

from tests.strict_s3 import StrictS3

# Each session would read the descriptions of its services anew, EC2's for half a second.
botocore.session.create_loader = cache(botocore.session.create_loader)


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """An SQS queue with its dead-letter queue, and what a test asks of it."""

    client: Any
    url: str
    dead_letter_url: str

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.client.send_message(QueueUrl=self.url, MessageBody=body)

    def bury(self, body: str) -> None:
        """As SQS does with a message that was received too often."""
        self.client.send_message(QueueUrl=self.dead_letter_url, MessageBody=body)

    def bodies(self) -> list[str]:
        """Everything that can be received now, in the order it was sent; the messages are deleted."""
        bodies: list[str] = []
        while messages := self.client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                bodies.append(message["Body"])
                self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def counts(self) -> tuple[int, int]:
        """Messages that wait, and messages that were received but not deleted."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        reply = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))
        waiting, in_flight = (int(reply["Attributes"][name]) for name in names)
        return waiting, in_flight


@pytest.fixture(scope="session")
def strict_s3() -> StrictS3:
    """moto, and in front of it what S3 checks of presigned PUTs."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return StrictS3(
        DomainDispatcherApplication(create_backend_app), secret_key=os.environ["AWS_SECRET_ACCESS_KEY"]
    )


@pytest.fixture(scope="session")
def aws_endpoint(strict_s3: StrictS3) -> Iterator[str]:
    """The address of the moto server; also in AWS_ENDPOINT_URL, where plain boto3 finds it."""
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = make_server("127.0.0.1", 0, strict_s3, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    before = os.environ.get("AWS_ENDPOINT_URL")
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_port}"
    yield os.environ["AWS_ENDPOINT_URL"]
    if before is not None:
        os.environ["AWS_ENDPOINT_URL"] = before
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def s3_client(aws_endpoint: str) -> Any:
    return boto3.client("s3")


@pytest.fixture(scope="session")
def sqs_client(aws_endpoint: str) -> Any:
    return boto3.client("sqs")


@pytest.fixture
def media_bucket(s3_client: Any) -> str:
    """The name of a fresh, empty bucket."""
    name = f"media-{uuid4().hex}"
    region = s3_client.meta.region_name
    s3_client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
    return name


@pytest.fixture
def requests_queue(sqs_client: Any) -> Queue:
    """A fresh queue of analysis requests, with its dead-letter queue."""
    return _queue(sqs_client, "requests")


@pytest.fixture
def job_events_queue(sqs_client: Any) -> Queue:
    """A fresh queue of AWS Batch's job state changes, with its dead-letter queue."""
    return _queue(sqs_client, "job-events")


def _queue(client: Any, purpose: str) -> Queue:
    name = f"{purpose}-{uuid4().hex}"
    dead_letter_url = client.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    reply = client.get_queue_attributes(QueueUrl=dead_letter_url, AttributeNames=["QueueArn"])
    redrive = {"deadLetterTargetArn": reply["Attributes"]["QueueArn"], "maxReceiveCount": 3}
    url = client.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(redrive)})["QueueUrl"]
    return Queue(client=client, url=url, dead_letter_url=dead_letter_url)
