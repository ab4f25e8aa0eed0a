"""What the stand-in answers over HTTP, also to what no SDK would send. Quotations: AWS Batch API reference."""

import json
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.programs import EXIT_ON_SIGTERM

JSON = {"Content-Type": "application/json"}


def test_an_unknown_path_is_an_unknown_operation(batch: Any, clients: Callable[..., Any]) -> None:
    other = clients("sqs", batch.url)
    with pytest.raises(ClientError) as refusal:
        other.list_queues()
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(
            b'{"jobName": "j", "jobQueue": "q", "jobDefinition": "work", "prio": 1}', "prio", id="unknown"
        ),
        pytest.param(b"{", "not JSON", id="not JSON"),
        pytest.param(b"[]", "not a JSON object", id="a list"),
    ],
)
def test_a_body_that_no_sdk_would_send_is_refused(batch: Any, body: bytes, message: str) -> None:
    connection = HTTPConnection(batch.url.removeprefix("http://"))
    connection.request("POST", "/v1/submitjob", body, {"Authorization": "AWS4-HMAC-SHA256 x"})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (400, "ClientException")
    assert message in json.load(answer)["message"]
    connection.close()


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("/v1/submitjob", {"Content-Type": "application/json"}, 403, id="not signed"),
        pytest.param("/stand-in/faults", {"Content-Type": "text/plain"}, 400, id="plain text"),
    ],
)
def test_a_web_page_cannot_reach_it(batch: Any, path: str, headers: dict[str, str], status: int) -> None:
    """A browser sends a foreign page's POST, but not with headers that need a preflight."""
    connection = HTTPConnection(batch.url.removeprefix("http://"))
    connection.request("POST", path, b"{}", headers)
    assert connection.getresponse().status == status
    connection.close()


def test_hooks_for_other_processes(batch: Any) -> None:
    connection = HTTPConnection(batch.url.removeprefix("http://"))
    connection.request("GET", "/stand-in/health")
    assert json.load(connection.getresponse()) == {"status": "ok"}
    fault = b'{"operation": "ListJobs", "code": "ServerException", "status": 500, "times": 1}'
    connection.request("POST", "/stand-in/faults", fault, JSON)
    assert connection.getresponse().read() == b"{}"
    connection.close()
    with pytest.raises(batch.client.exceptions.ServerException):
        batch.client.list_jobs(jobQueue="q")
    job_id = batch.run(EXIT_ON_SIGTERM)
    batch.ready(job_id)
    connection.request("POST", "/stand-in/reclaim-host", json.dumps({"jobId": job_id}), JSON)
    assert connection.getresponse().status == 200
    connection.close()
    assert batch.finished(job_id)["statusReason"].startswith("Host EC2")


def test_an_operation_that_is_not_played_says_so(batch: Any) -> None:
    with pytest.raises(ClientError, match="DeleteJobQueue is not implemented"):
        batch.client.delete_job_queue(jobQueue="q")


def test_throttling_is_what_boto3_retries(batch: Any, clients: Callable[..., Any]) -> None:
    """ "TooManyRequestsException" with 429 is one of botocore's throttling errors."""
    batch.server.faults.add(operation="DescribeJobQueues", times=2)
    with pytest.raises(ClientError) as refusal:
        batch.client.describe_job_queues()
    assert refusal.value.response["Error"]["Code"] == "TooManyRequestsException"
    patient = clients("batch", batch.url, retries={"mode": "standard", "max_attempts": 3})
    assert patient.describe_job_queues()["ResponseMetadata"]["RetryAttempts"] == 1


def test_an_outage_lasts_until_it_is_cleared(batch: Any) -> None:
    batch.server.faults.add(code="ServerException", status=500)
    with pytest.raises(batch.client.exceptions.ServerException):
        batch.client.describe_job_queues()
    batch.server.faults.clear()
    assert batch.client.describe_job_queues()["jobQueues"]


def test_a_connection_can_break_off(batch: Any) -> None:
    from botocore.exceptions import ConnectionClosedError

    batch.server.faults.add(status=0, times=1)
    with pytest.raises(ConnectionClosedError):
        batch.client.describe_job_queues()
