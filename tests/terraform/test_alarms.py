"""Alarms that read logs hear what the product and AWS Batch say there."""

import json
import logging
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.functions import Now

from backend.accounts.models import User
from backend.config.logs import EventFormatter
from backend.videos.failing import tell_of_failure
from backend.videos.models import Analysis, OutboxMessage, OwedCall
from backend.videos.pulse import beat
from batch_job.errors import Interrupted, OutOfMemory
from batch_job.logs import JsonLines
from batch_job.main import _failed
from contract.errors import OF_THE_REQUEST, ErrorCode
from contract.exit_codes import EXIT_KILLED
from tests.backend.making import attempt, job_event, make_analysis

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("terraform"), pytest.mark.timeout(900)]


@pytest.fixture
def heard(applied: Any) -> Any:
    """(log group's end, metric) of the filters that match a line."""
    filters = applied.account.client("logs").describe_metric_filters()["metricFilters"]

    def hear(line: str) -> set[tuple[str, str]]:
        return {
            (one["logGroupName"].rpartition("/")[2], one["metricTransformations"][0]["metricName"])
            for one in filters
            if _matches(one["filterPattern"], line)
        }

    return hear


def test_job_that_finds_no_memory_is_heard(heard: Any, caplog: pytest.LogCaptureFixture):
    """In its log's own form, whatever becomes of the attempt."""
    claim: Any = SimpleNamespace(token=SimpleNamespace(attempt=1, on_demand=False))
    for error in (OutOfMemory("the GPU has no room for another frame"), Interrupted()):
        _failed(error, claim)
    lines = [JsonLines(analysis_id="1").format(record) for record in caplog.records]
    assert [heard(line) for line in lines] == [{("jobs", "OutOfMemory")}, set()]


def test_container_that_is_killed_for_its_memory_is_heard(heard: Any):
    """It cannot say so itself; EventBridge puts what AWS Batch says into the log group of failed jobs."""
    killed = attempt(exit_code=EXIT_KILLED, reason="OutOfMemoryError: Container killed due to memory usage")
    lost = attempt(status_reason="Host EC2 (instance i-0abc) terminated.")
    assert heard(job_event(uuid4(), "FAILED", attempts=[killed])) == {("framebatch-failed-jobs", "OutOfMemory")}
    assert heard(job_event(uuid4(), "FAILED", attempts=[lost])) == set()


@pytest.mark.django_db
def test_job_that_waits_long_is_heard(heard: Any, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    columns = {"status": "submitted", "batch_job_id": "job-1", "batch_state": "RUNNABLE"}
    analysis = make_analysis(User.objects.create(username="owner"), **columns)
    beat()
    Analysis.objects.filter(pk=analysis.pk).update(runnable_since=Now() - timedelta(hours=1))
    beat()
    lines = [EventFormatter().format(record) for record in caplog.records if record.levelno >= logging.INFO]
    assert [heard(line) for line in lines] == [set(), set(), {("worker", "WaitingLong")}]


@pytest.mark.django_db
def test_request_that_stays_unsent_is_heard(heard: Any, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    analysis = make_analysis(User.objects.create(username="owner"))
    message = OutboxMessage.objects.create(analysis=analysis, body="{}")
    beat()
    OutboxMessage.objects.filter(pk=message.pk).update(created_at=Now() - timedelta(minutes=6))
    beat()
    lines = [EventFormatter().format(record) for record in caplog.records]
    assert [heard(line) for line in lines] == [set(), set(), {("worker", "UnsentLong")}]


@pytest.mark.django_db
def test_call_that_stays_given_up_is_heard(heard: Any, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    beat()
    OwedCall.objects.create(kind="remove_analysis", subject=str(uuid4()), given_up_at=Now())
    beat()
    lines = [EventFormatter().format(record) for record in caplog.records]
    assert [heard(line) for line in lines] == [set(), set(), {("worker", "GivenUp")}]


def test_analysis_that_failed_by_no_fault_of_its_video_is_heard(heard: Any, caplog: pytest.LogCaptureFixture):
    for code in ErrorCode:
        tell_of_failure(analysis_id=uuid4(), code=code)
    lines = [EventFormatter().format(record) for record in caplog.records]
    assert [heard(line) for line in lines] == [{("worker", "FailedAnalyses")}] * (
        len(ErrorCode) - len(OF_THE_REQUEST)
    )


def test_each_of_these_metrics_has_an_alarm_that_anything_but_a_few_failures_sets_off(applied: Any):
    logs, watch = applied.account.client("logs"), applied.account.client("cloudwatch")
    filters = logs.describe_metric_filters()["metricFilters"]
    metrics = {
        (one["metricNamespace"], one["metricName"]) for each in filters for one in each["metricTransformations"]
    }
    alarms = {
        (alarm["Namespace"], alarm["MetricName"]): (alarm["Threshold"], alarm["ComparisonOperator"])
        for alarm in watch.describe_alarms()["MetricAlarms"]
        if alarm.get("Namespace") == "framebatch"
    }
    few = {("framebatch", "FailedAnalyses"): (5, "GreaterThanThreshold")}
    assert alarms == dict.fromkeys(metrics, (0, "GreaterThanThreshold")) | few


def _matches(pattern: str, line: str) -> bool:
    """What our patterns use of CloudWatch's "Filter pattern syntax": a field of a JSON line, or a quoted text."""
    if text := re.fullmatch(r'"([^"]+)"', pattern):
        return text[1] in line
    field = re.fullmatch(r'\{ \$\.([\w.]+) = "([^"*]+)(\*?)" \}', pattern)
    assert field, f"{pattern} is not understood"
    try:
        value = json.loads(line)
    except ValueError:
        return False
    for name in field[1].split("."):
        value = value.get(name) if isinstance(value, dict) else None
    if not isinstance(value, str):
        return False
    return value.startswith(field[2]) if field[3] else value == field[2]
