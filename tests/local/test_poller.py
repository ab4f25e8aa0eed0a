"""Quotations: "Handling errors for an SQS event source in Lambda", "Using Lambda with Amazon SQS" (developer
guide).
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.poller.invocation import HandlerNotFound, load_handler
from local.poller.polling import MappingInvalid, MappingSettings, Poller
from local.poller.records import event_of
from local.poller.responses import ResponseInvalid, failed_ids
from tests.outage import Proxy

IDS = ("a", "b", "c")


class TestResponses:
    @pytest.mark.parametrize(
        "response",
        [
            pytest.param({"batchItemFailures": []}, id="empty list"),
            pytest.param({"batchItemFailures": None}, id="null list"),
            pytest.param({}, id="empty response"),
            pytest.param(None, id="null response"),
            pytest.param({"statusCode": 200}, id="a response about something else"),
        ],
    )
    def test_complete_success(self, response: Any) -> None:
        """ "Lambda treats a batch as a complete success if your function returns any of the following: An empty
        batchItemFailures list; A null batchItemFailures list; An empty EventResponse; A null EventResponse".
        """
        assert failed_ids(response, IDS) == frozenset()

    @pytest.mark.parametrize(
        "response",
        [
            pytest.param({"batchItemFailures": [{"itemIdentifier": ""}]}, id="empty string"),
            pytest.param({"batchItemFailures": [{"itemIdentifier": None}]}, id="null"),
            pytest.param({"batchItemFailures": [{"messageId": "a"}]}, id="bad key name"),
            pytest.param({"batchItemFailures": [{"itemIdentifier": "z"}]}, id="id that does not exist"),
            pytest.param({"batchItemFailures": ["a"]}, id="ids without their key"),
            pytest.param({"batchItemFailures": {"itemIdentifier": "a"}}, id="not a list"),
            pytest.param({"batchItemFailures": [], "at": {1, 2}}, id="not JSON"),
            pytest.param("done", id="not an object"),
        ],
    )
    def test_complete_failure(self, response: Any) -> None:
        """ "[...] a complete failure if your function returns any of the following: An invalid JSON response; An
        empty string itemIdentifier; A null itemIdentifier; An itemIdentifier with a bad key name; An
        itemIdentifier value with a message ID that doesn't exist".
        """
        with pytest.raises(ResponseInvalid):
            failed_ids(response, IDS)

    def test_partial_failure(self) -> None:
        failures = [{"itemIdentifier": "a"}, {"itemIdentifier": "c"}, {"itemIdentifier": "c"}]
        assert failed_ids({"batchItemFailures": failures}, IDS) == {"a", "c"}


def test_a_record_has_the_documented_form() -> None:
    message = {
        "MessageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "ReceiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
        "Body": "Test message.",
        "MD5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"},
        "MessageAttributes": {
            "plan": {"DataType": "String", "StringValue": "pro"},
            "raw": {"DataType": "Binary", "BinaryValue": b"\x01"},
        },
        "MD5OfMessageAttributes": "9c",
    }
    assert event_of([message], "arn:aws:sqs:us-east-2:123456789012:my-queue") == {
        "Records": [
            {
                "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
                "body": "Test message.",
                "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1545082649183"},
                "messageAttributes": {
                    "plan": {
                        "stringValue": "pro",
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": "String",
                    },
                    "raw": {
                        "binaryValue": "AQ==",
                        "stringListValues": [],
                        "binaryListValues": [],
                        "dataType": "Binary",
                    },
                },
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "md5OfMessageAttributes": "9c",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
                "awsRegion": "us-east-2",
            }
        ]
    }


class Function:
    """A Lambda function that remembers its calls."""

    def __init__(self, answer: Callable[[dict[str, Any]], Any] = lambda event: None) -> None:
        self.answer, self.events, self.contexts = answer, list[dict[str, Any]](), list[Any]()

    def __call__(self, event: dict[str, Any], context: Any) -> Any:
        self.events.append(event)
        self.contexts.append(context)
        return self.answer(event)

    @property
    def bodies(self) -> list[list[str]]:
        return [[record["body"] for record in event["Records"]] for event in self.events]


class Queue:
    def __init__(self, sqs: Any, url: str) -> None:
        self.sqs, self.url = sqs, url

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def count(self) -> int:
        """All messages, in flight or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


@pytest.fixture
def queue(new_queue: Callable[..., str], clients: Callable[..., Any], aws_endpoint: str) -> Queue:
    return Queue(clients("sqs", aws_endpoint), new_queue())


def poller_for(queue: Queue, function: Any, **settings: Any) -> Poller:
    given = {"receive_wait_seconds": 0, "function_timeout_seconds": 5.0, **settings}
    return Poller(MappingSettings(queue_url=queue.url, **given), function, queue.sqs)


class TestBatches:
    def test_what_was_processed_is_deleted(self, queue: Queue) -> None:
        queue.send("one", "two")
        function = Function()
        outcome = poller_for(queue, function).poll_once()
        assert (sorted(function.bodies[0]), len(outcome.deleted), queue.count()) == (["one", "two"], 2, 0)

    def test_records_carry_what_sqs_knows(self, queue: Queue) -> None:
        attributes = {"plan": {"DataType": "String", "StringValue": "pro"}}
        queue.sqs.send_message(QueueUrl=queue.url, MessageBody="x", MessageAttributes=attributes)
        function = Function()
        poller_for(queue, function).poll_once()
        (record,) = function.events[0]["Records"]
        assert record["attributes"]["ApproximateReceiveCount"] == "1"
        assert int(record["attributes"]["SentTimestamp"]) > 1_500_000_000_000
        assert record["messageAttributes"]["plan"]["stringValue"] == "pro"
        assert record["eventSourceARN"].startswith("arn:aws:sqs:us-east-1:")

    def test_the_context_is_lambdas(self, queue: Queue) -> None:
        queue.send("x")
        function = Function()
        poller_for(queue, function, function_name="submitter").poll_once()
        (context,) = function.contexts
        assert context.function_name == "submitter"
        assert context.invoked_function_arn.endswith(":function:submitter")
        assert 0 < context.get_remaining_time_in_millis() <= 5000
        assert (len(context.aws_request_id), context.memory_limit_in_mb) == (36, "256")

    def test_reported_records_stay_and_their_neighbours_go(self, queue: Queue) -> None:
        def fail_bad(event: dict[str, Any]) -> Any:
            bad = (record for record in event["Records"] if record["body"] == "bad")
            return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in bad]}

        queue.send("good", "bad", "fine")
        outcome = poller_for(queue, Function(fail_bad)).poll_once()
        assert (len(outcome.deleted), len(outcome.left), queue.count()) == (2, 1, 1)

    @pytest.mark.parametrize(
        "answer",
        [
            pytest.param(lambda event: 1 / 0, id="it raises"),
            pytest.param(lambda event: sys.exit(3), id="it exits"),
            pytest.param(lambda event: {"batchItemFailures": [{"itemIdentifier": "x"}]}, id="it names nobody"),
            pytest.param(lambda event: time.sleep(0.3), id="it is too slow"),
        ],
    )
    def test_a_failed_call_deletes_nothing(self, queue: Queue, answer: Callable[..., Any]) -> None:
        """ "If your function throws an exception, the entire batch is considered a complete failure." """
        queue.send("one", "two")
        outcome = poller_for(queue, Function(answer), function_timeout_seconds=0.1).poll_once()
        assert (len(outcome.left), queue.count()) == (2, 2)

    def test_the_function_cannot_change_what_is_deleted(self, queue: Queue) -> None:
        queue.send("one")
        poller_for(queue, Function(lambda event: event["Records"].clear())).poll_once()
        assert queue.count() == 0

    def test_the_window_fills_a_batch_beyond_ten(self, queue: Queue) -> None:
        """BatchSize: "When you set BatchSize to a value greater than 10, you must set
        MaximumBatchingWindowInSeconds to at least 1."
        """
        queue.send(*map(str, range(12)))
        function = Function()
        poller_for(queue, function, batch_size=12, batching_window_seconds=1.0).poll_once()
        assert (len(function.bodies[0]), queue.count()) == (12, 0)

    def test_the_window_waits_for_more(self, queue: Queue) -> None:
        """ "[...] gather records before invoking the function"."""
        queue.send("early")
        later = threading.Timer(0.1, queue.send, ["late"])
        later.start()
        function = Function()
        poller_for(queue, function, batch_size=2, batching_window_seconds=60).poll_once()
        later.join()
        assert sorted(function.bodies[0]) == ["early", "late"]

    def test_the_window_ends(self, queue: Queue) -> None:
        queue.send("alone")
        function = Function()
        poller_for(queue, function, batching_window_seconds=0.2).poll_once()
        assert function.bodies == [["alone"]]


class TestRedelivery:
    def test_a_record_that_always_fails_ends_among_the_dead_letters(
        self, new_queue: Callable[..., str], clients: Callable[..., Any], aws_endpoint: str
    ) -> None:
        """maxReceiveCount: "The number of times a message is delivered to the source queue before being moved to
        the dead-letter queue."
        """
        sqs = clients("sqs", aws_endpoint)
        dead = Queue(sqs, new_queue())
        arn = sqs.get_queue_attributes(QueueUrl=dead.url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
        queue = Queue(sqs, new_queue(RedrivePolicy=redrive, VisibilityTimeout="1"))

        def fail_all(event: dict[str, Any]) -> Any:
            return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]}

        function = Function(fail_all)
        poller = poller_for(queue, function, function_timeout_seconds=1.0)
        queue.send("malformed")
        deadline = time.monotonic() + 90
        while not dead.count():
            poller.poll_once()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        counts = [event["Records"][0]["attributes"]["ApproximateReceiveCount"] for event in function.events]
        assert (counts, queue.count()) == (["1", "2"], 0)


class TestMapping:
    @pytest.mark.parametrize(
        "settings",
        [
            pytest.param({"batch_size": 0}, id="batch of none"),
            pytest.param({"batch_size": 10_001}, id="batch of 10001"),
            pytest.param({"batch_size": 11}, id="batch of 11 without a window"),
            pytest.param({"batching_window_seconds": 301.0}, id="window of 301 seconds"),
        ],
    )
    def test_what_lambda_refuses_is_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(MappingInvalid):
            MappingSettings(queue_url="http://queue", **settings)

    def test_the_visibility_timeout_must_outlast_the_function(self, queue: Queue) -> None:
        """InvalidParameterValueException: "Queue visibility timeout: 30 seconds is less than Function timeout: 60
        seconds".
        """
        with pytest.raises(MappingInvalid, match="less than Function timeout: 60"):
            poller_for(queue, Function(), function_timeout_seconds=60.0).poll_once()

    @pytest.mark.parametrize("reference", ["nothing.at.all", "json.nothing", "json.decoder", "json"])
    def test_a_handler_that_is_not_there_is_named(self, reference: str) -> None:
        with pytest.raises(HandlerNotFound, match=reference):
            load_handler(reference)


def test_the_poller_outlasts_an_sqs_that_is_away(
    queue: Queue, clients: Callable[..., Any], aws_endpoint: str, eventually: Callable[..., Any]
) -> None:
    aws = urlsplit(aws_endpoint)
    function, stop = Function(), threading.Event()
    with Proxy((str(aws.hostname), int(aws.port or 0))) as proxy:
        far = Queue(clients("sqs", proxy.url_of(aws_endpoint)), proxy.url_of(queue.url))
        thread = threading.Thread(target=poller_for(far, function).run, args=(stop,))
        thread.start()
        queue.send("before")
        eventually(lambda: function.bodies == [["before"]])
        proxy.refuse()
        time.sleep(0.3)
        proxy.restore()
        queue.send("after")
        eventually(lambda: ["after"] in function.bodies)
        stop.set()
        thread.join()


HANDLER = """
import json, pathlib, time
def handler(event, context):
    here = pathlib.Path(__file__).parent
    (here / "begun").touch()
    while not (here / "go on").exists():
        time.sleep(0.01)
    with (here / "seen").open("a") as seen:
        for record in event["Records"]:
            print(record["body"], context.function_name, file=seen)
"""


class TestProgram:
    def start(self, tmp_path: Path, aws_endpoint: str, *arguments: str) -> subprocess.Popen[str]:
        (tmp_path / "own_handler.py").write_text(HANDLER)
        path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
        return subprocess.Popen(
            [sys.executable, "-m", "local.poller", "--function-name", "f", *arguments],
            env={**os.environ, "AWS_ENDPOINT_URL": aws_endpoint, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_a_signal_lets_the_batch_in_hand_finish(
        self, tmp_path: Path, queue: Queue, aws_endpoint: str, eventually: Callable[..., Any]
    ) -> None:
        queue.send("last")
        arguments = ["--queue-url", queue.url, "--handler", "own_handler.handler", "--concurrency", "2"]
        with self.start(tmp_path, aws_endpoint, *arguments) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == f"polling {queue.url}\n"
            eventually((tmp_path / "begun").exists)
            process.send_signal(signal.SIGTERM)
            (tmp_path / "go on").touch()
            assert process.wait(60) == 0
        assert ((tmp_path / "seen").read_text(), queue.count()) == ("last f\n", 0)

    def test_once_is_one_batch(self, tmp_path: Path, queue: Queue, aws_endpoint: str) -> None:
        queue.send("one", "two")
        (tmp_path / "go on").touch()
        arguments = ["--queue-url", queue.url, "--handler", "own_handler.handler", "--once", "--batch-size", "1"]
        with self.start(tmp_path, aws_endpoint, *arguments) as process:
            _, errors = process.communicate(timeout=90)
        assert (process.returncode, queue.count()) == (0, 1), errors

    def test_a_handler_that_is_not_there_ends_the_program(self, tmp_path: Path, aws_endpoint: str) -> None:
        arguments = ["--queue-url", "http://queue", "--handler", "no_such_module.handler"]
        with self.start(tmp_path, aws_endpoint, *arguments) as process:
            _, errors = process.communicate(timeout=90)
        assert (process.returncode, "HandlerNotFound: no_such_module.handler" in errors) == (2, True)
