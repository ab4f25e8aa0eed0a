"""Quotations: ListJobs (AWS Batch API reference)."""

from typing import Any

import pytest

from local.batch.documents import job_detail
from local.batch.listing import list_jobs


def names(desk: Any, **parameters: Any) -> list[str]:
    return [job["jobName"] for job in list_jobs(desk.scheduler, {"jobQueue": "q", **parameters})["jobSummaryList"]]


def by(name: str, *values: str) -> dict[str, Any]:
    return {"filters": [{"name": name, "values": list(values)}]}


@pytest.fixture
def listed(desk: Any) -> Any:
    """test0 has ended, test1 and Test10 run, other waits."""
    first = desk.submit("test0")
    desk.tick()
    desk.end(first, after=1)
    desk.submit("test1", containerOverrides={"resourceRequirements": [{"type": "VCPU", "value": "3"}]})
    desk.submit("Test10")
    desk.submit("other", jobDefinition="work:1")
    desk.tick()
    return desk


def test_without_a_status_only_running_jobs_are_listed(listed: Any) -> None:
    """ "If you don't specify a status, only RUNNING jobs are returned." """
    assert names(listed) == ["Test10", "test1"]
    assert names(listed, jobStatus="SUCCEEDED") == ["test0"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("test1", ["test1"], id="exact"),
        pytest.param("TEST1", ["test1"], id="other case"),
        pytest.param("test1*", ["Test10", "test1"], id="beginning"),
        pytest.param("test", [], id="no asterisk"),
        pytest.param("*", ["other", "Test10", "test1", "test0"], id="all"),
    ],
)
def test_names_are_matched_without_regard_to_case(listed: Any, value: str, expected: list[str]) -> None:
    """ "[...] a case-insensitive match for the job name. If the value ends with an asterisk (*), the filter
    matches any job name that begins with the string before the '*'. [...] For example, test1 matches both Test1
    and test1, and test1* matches both test1 and Test10."
    """
    assert names(listed, **by("JOB_NAME", value)) == expected


def test_a_filter_sees_jobs_of_every_status(listed: Any) -> None:
    """ "If the filters parameter is specified, the jobStatus parameter is ignored and jobs with any status are
    returned."

    The Lambda function relies on it when it looks for the job of an earlier delivery.
    """
    assert names(listed, jobStatus="RUNNING", **by("JOB_NAME", "test0")) == ["test0"]


def test_shares_and_status_filter_together(desk_with: Any) -> None:
    """ "The exception is the SHARE_IDENTIFIER filter and jobStatus can be used together." """
    desk = desk_with(policy={})
    desk.submit("running", shareIdentifier="pro")
    desk.tick()
    desk.submit("new", shareIdentifier="pro")
    assert names(desk, **by("SHARE_IDENTIFIER", "pro")) == ["new", "running"]
    assert names(desk, jobStatus="RUNNING", **by("SHARE_IDENTIFIER", "pro")) == ["running"]


def test_other_filters(listed: Any) -> None:
    moment = listed.scheduler.jobs[next(iter(listed.scheduler.jobs))].created_at
    assert names(listed, **by("AFTER_CREATED_AT", str(moment))) == ["other", "Test10", "test1"]
    assert names(listed, **by("BEFORE_CREATED_AT", str(moment + 1))) == ["test0"]
    assert len(names(listed, **by("JOB_DEFINITION", "work"))) == 4


def test_pages_follow_each_other_while_jobs_come_in(listed: Any) -> None:
    """ "The remaining results [...] can be seen by sending another ListJobs request with the returned nextToken
    value."
    """
    parameters = {"jobQueue": "q", "maxResults": 3, **by("JOB_NAME", "*")}
    first = list_jobs(listed.scheduler, parameters)
    listed.submit("newer")
    second = list_jobs(listed.scheduler, {**parameters, "nextToken": first["nextToken"]})
    found = [job["jobName"] for page in (first, second) for job in page["jobSummaryList"]]
    assert found == ["other", "Test10", "test1", "test0"]
    assert "nextToken" not in second


def test_children_are_listed_by_their_array(desk: Any) -> None:
    """ "Specifying an array job ID with this parameter lists all child jobs from within the specified array"; "The
    filter doesn't apply to child jobs in an array".
    """
    parent = desk.submit("array", arrayProperties={"size": 5})
    desk.tick()
    children = list_jobs(desk.scheduler, {"arrayJobId": parent.id, "jobStatus": "RUNNING"})["jobSummaryList"]
    assert [child["arrayProperties"] for child in children] == [{"index": index} for index in range(4)]
    assert names(desk, **by("JOB_NAME", "array")) == ["array"]


def test_a_parent_sums_up_its_children(desk: Any) -> None:
    """statusSummary: "A summary of the number of array job children in each available job status." """
    parent = desk.submit(arrayProperties={"size": 6})
    desk.tick()
    children = desk.scheduler.children[parent.id]
    desk.end(children[0])
    summary = job_detail(parent, children)["arrayProperties"]
    assert summary["size"] == 6
    assert {status: count for status, count in summary["statusSummary"].items() if count} == {
        "SUCCEEDED": 1,
        "RUNNING": 4,
        "RUNNABLE": 1,
    }
