"""What becomes of each record, with a Batch gateway whose jobs live in a dictionary."""

import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from contract.jobs import REQUEST_VARIABLE, job_name
from contract.messages import AnalysisRequest
from contract.notices import JobFound, RequestRefused
from contract.options import AnalysisOptions
from contract.plans import SHARES, Plan
from lambda_sqs_to_batch.errors import SettingsInvalid, SubmissionPostponed, SubmissionRefused
from lambda_sqs_to_batch.logs import EventLog
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submission import submission_for
from lambda_sqs_to_batch.submitting import Submitter
from tests.fakes import FakeBatch, FakeNotices

SETTINGS = Settings(
    job_queue="queue",
    job_definition="definition:3",
    job_events_queue_url="events",
    enterprise_queue="queue-enterprise",
    on_demand_queue="queue-on-demand",
    on_demand_enterprise_queue="queue-on-demand-enterprise",
)


def submit_all(records: list[dict], batch: FakeBatch, told: FakeNotices | None = None) -> dict:
    submitter = Submitter(settings=SETTINGS, batch=batch, notices=told or FakeNotices())
    return submitter.submit_all(records, EventLog(request_id="call-1"))


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

    answer = submit_all(records(body), batch)

    [[submitted]] = batch.jobs.values()
    assert failures(answer) == []
    assert submitted["containerOverrides"]["environment"] == [{"name": REQUEST_VARIABLE, "value": body}]


def test_whatever_is_taken_fits_into_the_overrides_of_a_job():
    """Longer than 8192 characters of JSON, with what AWS Batch adds to them, they fail at their start."""
    ids = {"AWS_BATCH_JOB_ID": f"{uuid4()}:31", "AWS_BATCH_JOB_ATTEMPT": "2", "AWS_BATCH_JOB_ARRAY_INDEX": "31"}
    names = {"AWS_BATCH_JQ_NAME": "q" * 128, "AWS_BATCH_CE_NAME": "c" * 128}
    own = [{"name": name, "value": value} for name, value in (ids | names).items()]
    lengths = []
    for count in range(1, 2000, 10):
        options = AnalysisOptions(classes=tuple(f"c{number}" for number in range(count)))
        batch = FakeBatch()
        submit_all(records(replace(request(), options=options).to_json()), batch)
        lengths += [
            len(json.dumps([*job["containerOverrides"]["environment"], *own]))
            for jobs in batch.jobs.values()
            for job in jobs
        ]
    assert 7168 < max(lengths) < 8192


def test_a_long_video_becomes_an_array_of_jobs():
    """Two hours: six jobs, each with the same request."""
    batch = FakeBatch()

    submit_all(records(replace(request(), video_seconds=7200.0).to_json()), batch)
    submit_all(records(replace(request(), video_seconds=60.0).to_json()), batch)

    [long], [short] = batch.jobs.values()
    assert long["arrayProperties"] == {"size": 6}
    assert "arrayProperties" not in short


def test_a_message_that_comes_again_starts_no_second_job():
    """SQS delivers at least once."""
    body = request().to_json()
    batch = FakeBatch()

    submit_all(records(body, body), batch)
    submit_all(records(body), batch)

    assert [len(jobs) for jobs in batch.jobs.values()] == [1]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(SubmissionPostponed("throttled"), id="Batch is throttling"),
        pytest.param(RuntimeError("a fault of ours"), id="an unexpected fault"),
    ],
)
def test_a_record_fails_alone(fault):
    """One bad message must neither lose its neighbours nor carry them to the dead-letter queue."""
    bad, good = request(), request()
    batch = FakeBatch({job_name(bad.analysis_id): fault})

    answer = submit_all(records(bad.to_json(), good.to_json()), batch)

    assert failures(answer) == ["message-0"]
    assert list(batch.jobs) == [job_name(good.analysis_id)]


def test_what_no_delivery_will_change_is_told_at_once_and_not_delivered_again():
    """Its user must not wait until all deliveries are used up, and the message is kept by the worker."""
    refused, good = request(), request()
    batch = FakeBatch({job_name(refused.analysis_id): SubmissionRefused("no such definition")})
    told = FakeNotices()

    answer = submit_all(records(refused.to_json(), "{not json", good.to_json()), batch, told)

    assert failures(answer) == []
    assert told.notices == [
        RequestRefused(message_id="message-0", body=refused.to_json(), fault="no such definition"),
        RequestRefused(message_id="message-1", body="{not json", fault="not JSON"),
    ]
    assert list(batch.jobs) == [job_name(good.analysis_id)]


def test_a_refusal_that_cannot_be_told_stays_in_the_queue():
    """Nothing is deleted before somebody knows of it; at the worst it becomes a dead letter."""
    told = FakeNotices(fault=SubmissionPostponed("SQS is away"))

    assert failures(submit_all(records("{not json"), FakeBatch(), told)) == ["message-0"]


def test_a_job_that_is_found_again_is_told_to_whoever_may_have_heard_nothing_of_it():
    """The worker sends a request again when all events of its job may have been lost."""
    asked, told, batch = request(), FakeNotices(), FakeBatch()

    submit_all(records(asked.to_json()), batch, told)
    assert told.notices == []
    submit_all(records(asked.to_json()), batch, told)

    name = job_name(asked.analysis_id)
    assert told.notices == [JobFound(analysis_id=asked.analysis_id, job_id=f"job-{name}", job_name=name)]


def test_an_empty_batch_has_no_failures():
    """Lambda reads an empty list as complete success."""
    assert submit_all([], FakeBatch()) == {"batchItemFailures": []}


@pytest.mark.parametrize("plan", [pytest.param(plan, id=plan.value) for plan in Plan])
@pytest.mark.parametrize(
    ("on_demand", "queue"),
    [pytest.param(False, "queue", id="Spot"), pytest.param(True, "queue-on-demand", id="On-Demand")],
)
def test_the_plan_decides_queue_share_and_priority(plan, on_demand, queue):
    """This is all that makes Enterprise overtake Free."""
    asked = replace(request(plan=plan), on_demand=on_demand)

    arguments = submission_for(asked, asked.to_json(), SETTINGS)

    assert arguments["jobQueue"] == (f"{queue}-enterprise" if plan is Plan.ENTERPRISE else queue)
    assert arguments["shareIdentifier"] == SHARES[plan].identifier
    assert arguments["schedulingPriorityOverride"] == SHARES[plan].scheduling_priority


@pytest.mark.parametrize(
    ("plan", "queue"),
    [
        pytest.param(Plan.FREE, "queue-on-demand", id="free"),
        pytest.param(Plan.ENTERPRISE, "queue-on-demand-enterprise", id="enterprise"),
    ],
)
def test_the_last_attempt_is_a_job_of_its_own_on_demand(plan, queue):
    """It finds no job on Spot, and Batch starts it once: there were two attempts before it."""
    first = request(plan=plan)
    last = replace(first, on_demand=True)
    batch = FakeBatch()

    submit_all(records(first.to_json(), last.to_json()), batch)

    [spot], [on_demand] = batch.jobs.values()
    assert "retryStrategy" not in spot
    assert on_demand["jobQueue"] == queue
    assert on_demand["retryStrategy"] == {"attempts": 1}
    assert on_demand["containerOverrides"]["environment"] == [{"name": REQUEST_VARIABLE, "value": last.to_json()}]


def test_the_quote_limits_the_time_of_an_attempt():
    """Without one the job definition does."""
    asked = request()

    assert "timeout" not in submission_for(asked, "", SETTINGS)
    quoted = submission_for(replace(asked, timeout_seconds=900), "", SETTINGS)
    assert quoted["timeout"] == {"attemptDurationSeconds": 900}


def test_missing_settings_are_named_together():
    """A function that was deployed half configured says everything it lacks at once."""
    with pytest.raises(SettingsInvalid, match="JOB_QUEUE, JOB_DEFINITION, JOB_EVENTS_QUEUE_URL"):
        Settings.from_environ({})


def test_one_queue_is_enough():
    """A small account has one queue for everybody."""
    environ = {"JOB_QUEUE": "only", "JOB_DEFINITION": "d", "JOB_EVENTS_QUEUE_URL": "events"}
    settings = Settings.from_environ(environ)

    assert settings.queue_for(replace(request(plan=Plan.ENTERPRISE), on_demand=True)) == "only"
    assert settings.queue_for(request(plan=Plan.ENTERPRISE)) == "only"


def test_one_queue_on_demand_is_enough():
    """Such was a function's environment before Enterprise had a second one there."""
    environ = {"JOB_QUEUE": "q", "JOB_QUEUE_ON_DEMAND": "last", "JOB_DEFINITION": "d", "JOB_EVENTS_QUEUE_URL": "e"}
    settings = Settings.from_environ(environ)

    asked = [replace(request(plan=plan), on_demand=True) for plan in Plan]
    assert {settings.queue_for(one) for one in asked} == {"last"}


def test_each_record_leaves_one_json_line_by_which_it_is_followed(capsys):
    """From the analysis to the message, the call and the job; a refusal says why."""
    asked, batch = request(), FakeBatch()
    received = {"messageId": "m", "body": asked.to_json(), "attributes": {"ApproximateReceiveCount": "2"}}

    submit_all([received, *records("rubbish")], batch)

    submitted, refused = map(json.loads, capsys.readouterr().out.splitlines())
    assert submitted.pop("timestamp") <= refused.pop("timestamp")
    assert submitted == {
        "level": "INFO",
        "event": "job submitted",
        "request_id": "call-1",
        "message_id": "m",
        "receive_count": "2",
        "analysis_id": str(asked.analysis_id),
        "job_id": f"job-{job_name(asked.analysis_id)}",
    }
    assert (refused["event"], refused["message_id"], refused["fault"]) == (
        "request refused",
        "message-0",
        "not JSON",
    )
