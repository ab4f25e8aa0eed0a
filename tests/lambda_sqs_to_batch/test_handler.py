"""The handler against a Batch gateway whose jobs live in a dictionary."""

import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from contract.jobs import REQUEST_VARIABLE, job_name
from contract.messages import AnalysisRequest
from contract.plans import SHARES, Plan
from lambda_sqs_to_batch.errors import SettingsInvalid, SubmissionPostponed, SubmissionRefused
from lambda_sqs_to_batch.handler import submit_all
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submission import submission_for
from tests.fakes import FakeBatch

SETTINGS = Settings(job_queue="queue", job_definition="definition:3")


def request(analysis_id: UUID | None = None, plan: Plan = Plan.FREE) -> AnalysisRequest:
    return AnalysisRequest(analysis_id=analysis_id or uuid4(), video_key="uploads/1/v", model="shapes", plan=plan)


def records(*bodies: str) -> list[dict]:
    return [{"messageId": f"message-{number}", "body": body} for number, body in enumerate(bodies)]


def failures(answer: dict) -> list[str]:
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def test_a_request_becomes_one_job_that_carries_it_to_the_letter():
    """The job reads the very document the backend wrote, unknown future fields included."""
    body = request().to_json()[:-1] + ',"added_later":1}'
    batch = FakeBatch()

    answer = submit_all(records(body), SETTINGS, batch)

    [[submitted]] = batch.jobs.values()
    assert failures(answer) == []
    assert submitted["containerOverrides"]["environment"] == [{"name": REQUEST_VARIABLE, "value": body}]


def test_a_long_video_becomes_an_array_of_jobs():
    """Two hours: six jobs, each with the same request."""
    batch = FakeBatch()

    submit_all(records(replace(request(), video_seconds=7200.0).to_json()), SETTINGS, batch)
    submit_all(records(replace(request(), video_seconds=60.0).to_json()), SETTINGS, batch)

    [long], [short] = batch.jobs.values()
    assert long["arrayProperties"] == {"size": 6}
    assert "arrayProperties" not in short


def test_a_message_that_comes_again_starts_no_second_job():
    """SQS delivers at least once."""
    body = request().to_json()
    batch = FakeBatch()

    submit_all(records(body, body), SETTINGS, batch)
    submit_all(records(body), SETTINGS, batch)

    assert [len(jobs) for jobs in batch.jobs.values()] == [1]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(SubmissionPostponed("throttled"), id="Batch is throttling"),
        pytest.param(SubmissionRefused("no such queue"), id="Batch refuses for good"),
        pytest.param(RuntimeError("a fault of ours"), id="an unexpected fault"),
    ],
)
def test_a_record_fails_alone(fault):
    """One bad message must neither lose its neighbours nor carry them to the dead-letter queue."""
    bad, good = request(), request()
    batch = FakeBatch({job_name(bad.analysis_id): fault})

    answer = submit_all(records(bad.to_json(), "{not json", good.to_json()), SETTINGS, batch)

    assert failures(answer) == ["message-0", "message-1"]
    assert list(batch.jobs) == [job_name(good.analysis_id)]


def test_an_empty_batch_has_no_failures():
    """Lambda reads an empty list as complete success."""
    assert submit_all([], SETTINGS, FakeBatch()) == {"batchItemFailures": []}


@pytest.mark.parametrize("plan", [pytest.param(plan, id=plan.value) for plan in Plan])
def test_the_plan_decides_share_and_priority(plan):
    """This is all that makes Enterprise overtake Free."""
    asked = request(plan=plan)

    arguments = submission_for(asked, asked.to_json(), SETTINGS)

    assert arguments["shareIdentifier"] == SHARES[plan].identifier
    assert arguments["schedulingPriorityOverride"] == SHARES[plan].scheduling_priority


def test_missing_settings_are_named_together():
    """A function that was deployed half configured says everything it lacks at once."""
    with pytest.raises(SettingsInvalid, match="JOB_QUEUE, JOB_DEFINITION"):
        Settings.from_environ({})


def test_the_log_line_of_a_refusal_names_the_message_and_the_fault(caplog):
    """Whoever looks into the dead-letter queue searches the log by message id."""
    submit_all(records("rubbish"), SETTINGS, FakeBatch())

    line = json.loads(caplog.messages[-1])
    assert (line["event"], line["message_id"], line["fault"]) == ("request unreadable", "message-0", "not JSON")
