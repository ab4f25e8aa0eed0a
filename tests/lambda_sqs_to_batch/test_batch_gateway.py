"""The gateway and the handler against the Batch stand-in over HTTP, with plain boto3."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from contract.jobs import job_name
from contract.messages import AnalysisRequest
from contract.notices import JobFound, RequestRefused, notice_in
from lambda_sqs_to_batch import handler as module
from lambda_sqs_to_batch.batch_gateway import BatchGateway
from lambda_sqs_to_batch.errors import SubmissionPostponed, SubmissionRefused
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submission import submission_for
from local import aws
from local.batch.events import NoEvents
from local.batch.server import BatchServer
from local.batch.service import BatchService, ServiceSettings
from local.batch.subprocess_runner import SubprocessRunner

ACCOUNT = aws.Account(
    requests_queue_url="", dead_requests_queue_url="", job_events_queue_url="", database_secret_arn="arn:aws:x"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    server: BatchServer
    client: Any
    settings: Settings

    def submit(self, **changes: Any) -> str:
        request = AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/v", model="m")
        arguments = {**submission_for(request, request.to_json(), self.settings), **changes}
        BatchGateway(self.client).submit(arguments)
        return arguments["jobName"]

    def jobs_named(self, name: str) -> int:
        filters = [{"name": "JOB_NAME", "values": [name]}]
        return len(self.client.list_jobs(jobQueue=aws.JOB_QUEUE, filters=filters)["jobSummaryList"])


@pytest.fixture
def batch(tmp_path: Path) -> Iterator[Batch]:
    """Registers what the local stack registers. No image is known, so every job soon fails and can be found."""
    service = BatchService(
        ServiceSettings(log_folder=tmp_path), runner=SubprocessRunner({}), events=NoEvents(), resolve_secret=str
    )
    with service, BatchServer(service) as server:
        session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1")
        definition = aws.create_batch(session, server.url, environment={}, account=ACCOUNT, vcpus=1)
        config = Config(retries={"max_attempts": 0})
        with closing(session.client("batch", endpoint_url=server.url, config=config)) as client:
            settings = Settings(
                job_queue=aws.JOB_QUEUE,
                job_definition=definition,
                job_events_queue_url="",
                enterprise_queue=aws.ENTERPRISE_QUEUE,
                on_demand_queue=aws.ON_DEMAND_QUEUE,
                on_demand_enterprise_queue=aws.ON_DEMAND_ENTERPRISE_QUEUE,
            )
            yield Batch(server=server, client=client, settings=settings)


def test_a_job_is_found_again_by_its_name_in_whatever_state(batch):
    """A message may come again long after its job has ended."""
    name = batch.submit()
    others = [batch.submit() for _ in range(3)]

    found = BatchGateway(batch.client).existing_job(queue=aws.JOB_QUEUE, name=name)

    assert found is not None
    assert found != BatchGateway(batch.client).existing_job(queue=aws.JOB_QUEUE, name=others[0])
    assert BatchGateway(batch.client).existing_job(queue=aws.JOB_QUEUE, name=job_name(uuid4())) is None


def test_a_name_that_differs_in_case_is_another_job(batch):
    """Batch's own filter ignores case."""
    name = batch.submit()

    assert batch.jobs_named(name.upper()) == 1
    assert BatchGateway(batch.client).existing_job(queue=aws.JOB_QUEUE, name=name.upper()) is None


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param({"code": "TooManyRequestsException", "status": 429}, SubmissionPostponed, id="throttled"),
        pytest.param({"code": "ServerException", "status": 500}, SubmissionPostponed, id="a fault of Batch's"),
        pytest.param({"status": 0}, SubmissionPostponed, id="hangs up"),
        pytest.param({"code": "ClientException", "status": 400}, SubmissionRefused, id="calls the request wrong"),
        pytest.param({"code": "AccessDeniedException", "status": 403}, SubmissionPostponed, id="does not let us"),
    ],
)
def test_what_passes_is_postponed_and_what_stays_wrong_is_refused(batch, fault, expected):
    """The first comes back after the visibility timeout; the second is over. A permission can be granted."""
    batch.server.faults.add(operation="SubmitJob", **fault)

    with pytest.raises(expected):
        batch.submit()


def test_a_request_that_botocore_itself_refuses_is_refused(batch):
    """It will not get better by waiting."""
    with pytest.raises(SubmissionRefused, match="jobQueue"):
        batch.submit(jobQueue=7)


def test_the_handler_is_wired_by_its_environment_alone(batch, job_events_queue, monkeypatch):
    """This is all that Lambda gives it."""
    for name, value in {
        "JOB_QUEUE": batch.settings.job_queue,
        "JOB_DEFINITION": batch.settings.job_definition,
        "JOB_EVENTS_QUEUE_URL": job_events_queue.url,
        "AWS_ENDPOINT_URL_BATCH": batch.server.url,
    }.items():
        monkeypatch.setenv(name, value)
    module._wiring.cache_clear()
    request = AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/v", model="m")
    records = [{"messageId": f"m{number}", "body": body} for number, body in enumerate([request.to_json(), "?"])]

    answers = [module.handler({"Records": records}, None) for _ in range(2)]

    assert answers == [{"batchItemFailures": []}] * 2
    assert batch.jobs_named(job_name(request.analysis_id)) == 1
    notices = [notice_in(json.loads(body)) for body in job_events_queue.bodies()]
    assert [type(notice) for notice in notices] == [RequestRefused, JobFound, RequestRefused]
    module._wiring.cache_clear()
