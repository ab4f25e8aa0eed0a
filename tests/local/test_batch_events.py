"""Quotations: "Job state change events" (AWS Batch user guide)."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import EndpointConnectionError

from local.batch.effects import Change
from local.batch.events import SqsEvents, event_of
from local.batch.registry import Place


class UnreachableSqs:
    """An SQS that is away for the first calls, and refuses what holds one of these words, once each."""

    def __init__(self, calls: int, *refused: str) -> None:
        self.calls, self.refused, self.bodies = calls, list(refused), list[str]()

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        if self.calls:
            self.calls -= 1
            raise EndpointConnectionError(endpoint_url=QueueUrl)
        assert 1 <= len(Entries) <= 10
        failed = []
        for entry in Entries:
            word = next((word for word in self.refused if word in entry["MessageBody"]), None)
            if word is None:
                self.bodies.append(entry["MessageBody"])
            else:
                self.refused.remove(word)
                failed.append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
        return {"Failed": failed}

    def close(self) -> None:
        pass


def test_an_event_has_the_documented_shape(desk: Any) -> None:
    """ "The detail section resembles the JobDetail object that's returned from a DescribeJobs API operation"."""
    job = desk.submit("event-test", retryStrategy={"attempts": 2})
    desk.tick()
    event = json.loads(json.dumps(event_of(desk.scheduler.changes[0], Place("eu-west-1", "000000000001"))))
    detail = event.pop("detail")
    assert re.fullmatch(r"[0-9a-f-]{36}", event.pop("id"))
    assert event == {
        "version": "0",
        "detail-type": "Batch Job State Change",
        "source": "aws.batch",
        "account": "000000000001",
        "time": "1970-01-12T13:46:40Z",
        "region": "eu-west-1",
        "resources": [job.arn],
    }
    documented = {
        "jobArn": job.arn,
        "jobName": "event-test",
        "jobId": job.id,
        "jobQueue": "arn:aws:batch:us-east-1:123456789012:job-queue/q",
        "status": "RUNNABLE",
        "attempts": [],
        "createdAt": 1_000_000_000,
        "retryStrategy": {"attempts": 2, "evaluateOnExit": []},
        "dependsOn": [],
        "jobDefinition": "arn:aws:batch:us-east-1:123456789012:job-definition/work:1",
        "parameters": {},
        "platformCapabilities": ["EC2"],
        "eksAttempts": [],
    }
    assert documented.items() <= detail.items()
    assert {"image", "command", "volumes", "environment", "mountPoints", "ulimits"} <= detail["container"].keys()


def test_events_of_one_job_tell_its_whole_story(desk: Any) -> None:
    job = desk.submit(retryStrategy={"attempts": 2})
    desk.tick()
    desk.end(job, 137)
    desk.end(job, 0)
    last = desk.scheduler.changes[-1].detail
    assert [attempt["container"]["exitCode"] for attempt in last["attempts"]] == [137, 0]
    assert (last["status"], last["statusReason"]) == ("SUCCEEDED", "Essential container in task exited")


def test_a_blocked_queue_is_told_of_with_its_own_event(desk: Any) -> None:
    """ "Job queue blocked events": resources are the job and its queue."""
    change = Change({"jobArn": "arn:job", "jobQueue": "arn:queue"}, 0.0, blocks_queue=True)
    event = event_of(change, Place())
    assert (event["detail-type"], event["resources"]) == ("Batch Job Queue Blocked", ["arn:job", "arn:queue"])


def test_events_reach_the_queue(
    new_queue: Callable[..., str], clients: Callable[..., Any], aws_endpoint: str, eventually: Callable[..., Any]
) -> None:
    url = new_queue()
    sink = SqsEvents(url, clients("sqs", aws_endpoint))
    sink.put({"detail": {"status": "RUNNING"}})
    sqs = clients("sqs", aws_endpoint)
    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=url).get("Messages"))
    assert json.loads(message["Body"]) == {"detail": {"status": "RUNNING"}}
    sink.close()


def test_no_event_is_lost_while_sqs_is_away(eventually: Callable[..., Any]) -> None:
    """EventBridge too retries: "for 24 hours and up to 185 times"."""
    sqs = UnreachableSqs(calls=2)
    sink = SqsEvents("http://queue", sqs)
    for number in range(3):
        sink.put({"n": number})
    assert eventually(lambda: len(sqs.bodies) == 3)
    assert sqs.bodies == ['{"n": 0}', '{"n": 1}', '{"n": 2}']
    sink.close()


def test_no_event_is_lost_that_sqs_refuses_among_others(eventually: Callable[..., Any]) -> None:
    sqs = UnreachableSqs(1, '"n": 3}', '"n": 7}')
    sink = SqsEvents("http://queue", sqs)
    for number in range(25):
        sink.put({"n": number})
    assert eventually(lambda: len(sqs.bodies) == 25)
    assert {json.loads(body)["n"] for body in sqs.bodies} == set(range(25))
    sink.close()


def test_closing_sends_what_waits() -> None:
    sqs = UnreachableSqs(0)
    sink = SqsEvents("http://queue", sqs, last_chance_seconds=60)
    for number in range(25):
        sink.put({"n": number})
    sink.close()
    assert len(sqs.bodies) == 25


def test_closing_does_not_wait_for_an_sqs_that_stays_away() -> None:
    sink = SqsEvents("http://queue", UnreachableSqs(calls=10**6), last_chance_seconds=0.2)
    sink.put({})
    started = time.monotonic()
    sink.close()
    assert time.monotonic() - started < 60  # as long as SQS is away it would be for ever


def test_a_real_client_waits_for_a_closed_port_too(monkeypatch: Any) -> None:
    """The errors of a real connection are those that are waited for."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        sink = SqsEvents(f"http://127.0.0.1:{unused.getsockname()[1]}/1/q", last_chance_seconds=0.5)
        sink.put({})
        time.sleep(0.3)
        assert any(thread.name == "job-events" for thread in threading.enumerate())
        sink.close()
