"""Polling is cheap, and says when it is worth while to ask again and how long it will take."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from backend.accounts import throttling
from backend.accounts.models import User
from backend.videos.models import Analysis
from contract.options import AnalysisOptions
from tests.backend.making import SUMMARY, make_analysis, make_video

pytestmark = pytest.mark.django_db(transaction=True)  # what changes a row is a transaction of its own

QUERIES = 1  # the API key with its user and the analysis


def asked(api: APIClient, analysis: Analysis, etag: str | None = None) -> Any:
    headers = {} if etag is None else {"HTTP_IF_NONE_MATCH": etag}
    return api.get(f"/api/analyses/{analysis.pk}", **headers)


def change(analysis: Analysis, **columns: Any) -> None:
    Analysis.objects.filter(pk=analysis.pk).update(**columns)


def running(owner: User, *, minutes: float = 2, done: int = 100, total: int | None = 400) -> Analysis:
    """Began so many minutes before its last chunk was stored, which was just now."""
    now = timezone.now()
    return make_analysis(
        owner,
        status="running",
        frames_done=done,
        frames_total=total,
        started_at=now - timedelta(minutes=minutes),
        updated_at=now,
    )


def began_after(owner: User, *waits: timedelta, plan: str = "free", ago: timedelta = timedelta(hours=1)) -> None:
    began = timezone.now() - ago
    for wait in waits:
        analysis = make_analysis(owner, status="succeeded", plan=plan, started_at=began)
        change(analysis, created_at=began - wait)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_what_has_not_changed_is_not_sent_again(api: APIClient, owner: User):
    analysis = running(owner)
    first = asked(api, analysis)
    assert first.status_code == 200
    assert first["Cache-Control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= {name.strip() for name in first["Vary"].split(",")}
    again = asked(api, analysis, first["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    for name in ("ETag", "Cache-Control", "Retry-After"):
        assert again[name] == first[name]


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"frames_done": 101}, id="progress"),
        pytest.param({"status": "succeeded", "summary": SUMMARY}, id="status"),
        pytest.param({"batch_state": "RUNNABLE"}, id="what Batch says, which does not touch updated_at"),
        pytest.param({"stage": "finishing"}, id="stage"),
    ],
)
def test_every_change_of_the_row_is_sent(api: APIClient, owner: User, columns: Any):
    """The job writes with SQL of its own: there is no version that it would have to count up."""
    analysis = running(owner)
    etag = asked(api, analysis)["ETag"]
    change(analysis, **columns)
    answer = asked(api, analysis, etag)
    assert answer.status_code == 200
    assert answer["ETag"] != etag


def test_an_etag_of_nobody_and_many_at_once(api: APIClient, owner: User):
    analysis = running(owner)
    etag = asked(api, analysis)["ETag"]
    assert asked(api, analysis, 'W/"something"').status_code == 200
    assert asked(api, analysis, f'"else", {etag}').status_code == 304
    assert asked(api, analysis, "*").status_code == 304
    assert asked(api, analysis, "not quoted").status_code == 200


@pytest.mark.parametrize("accept", ["*/*", "application/json, */*"], ids=["quick", "by REST framework"])
def test_condition_that_is_meant_for_changes_is_left_alone(api: APIClient, owner: User, accept: str):
    analysis = running(owner)
    etag = asked(api, analysis)["ETag"]
    for known, status in ((etag, 304), ('"else"', 200)):
        headers = {"If-None-Match": known, "If-Match": '"else"', "Accept": accept}
        assert api.get(f"/api/analyses/{analysis.pk}", headers=headers).status_code == status


def test_an_etag_opens_nothing(stranger_api: APIClient, api: APIClient, owner: User):
    analysis = running(owner)
    etag = asked(api, analysis)["ETag"]
    assert asked(stranger_api, analysis, etag).status_code == 404
    assert asked(stranger_api, analysis, "*").status_code == 404


@pytest.mark.parametrize("status", ["queued", "submitted", "running", "succeeded"])
def test_polling_takes_one_query(
    api: APIClient, owner: User, status: str, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
):
    # A new window would begin with a query of its own.
    monkeypatch.setattr(throttling, "WINDOW", timedelta(days=10_000))
    analysis = make_analysis(owner, status=status)
    etag = asked(api, analysis)["ETag"]  # notes the key's use, once a minute
    with django_assert_num_queries(QUERIES):
        assert asked(api, analysis).status_code == 200
    with django_assert_num_queries(QUERIES):
        assert asked(api, analysis, etag).status_code == 304


@pytest.mark.parametrize(
    ("columns", "seconds"),
    [
        pytest.param({"status": "queued"}, "1", id="on its way"),
        pytest.param({"status": "submitted"}, "2", id="nothing heard yet"),
        pytest.param({"status": "submitted", "batch_state": "RUNNABLE"}, "5", id="no machine"),
        pytest.param({"status": "submitted", "batch_state": "STARTING"}, "2", id="machine starts"),
        pytest.param({"status": "submitted", "batch_state": "RUNNING"}, "1", id="about to run"),
        pytest.param({"status": "running"}, "1", id="nothing known"),
        pytest.param({"status": "succeeded"}, None, id="over"),
        pytest.param({"status": "failed"}, None, id="failed"),
    ],
)
def test_when_to_ask_again_follows_the_state(api: APIClient, owner: User, columns: Any, seconds: str | None):
    assert asked(api, make_analysis(owner, **columns)).get("Retry-After") == seconds


@pytest.mark.parametrize(
    ("minutes", "seconds"),
    [
        pytest.param(0.1, 1, id="little left"),
        pytest.param(1 / 3, 2, id="a minute left: twenty times"),
        pytest.param(60, 10, id="hours left, and somebody looks on"),
    ],
)
def test_when_to_ask_again_follows_the_time_that_is_left(
    api: APIClient, owner: User, minutes: float, seconds: int
):
    """A quarter is done, so that three times as long is left."""
    assert asked(api, running(owner, minutes=minutes))["Retry-After"] == str(seconds)


def test_end_is_estimated_from_the_pace(api: APIClient, owner: User):
    analysis = running(owner, minutes=2, done=100, total=400)
    document = asked(api, analysis).json()
    assert moment(document["estimated_finish_at"]) == analysis.updated_at + timedelta(minutes=6)
    assert document["estimated_start_at"] is None


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param({"frames_done": 0}, id="no frame yet"),
        pytest.param({"frames_total": None}, id="length not known"),
        pytest.param({"started_at": None}, id="not begun"),
        pytest.param({"frames_done": 400}, id="all frames done, what comes then takes unknown time"),
        pytest.param({"updated_at": timezone.now() - timedelta(hours=1)}, id="estimate has passed"),
        pytest.param({"status": "succeeded"}, id="over"),
        pytest.param({"status": "queued"}, id="waiting again"),
    ],
)
def test_end_that_nothing_tells_is_null(api: APIClient, owner: User, columns: Any):
    analysis = running(owner)
    change(analysis, **columns)
    assert asked(api, analysis).json()["estimated_finish_at"] is None


@pytest.mark.parametrize("status", ["queued", "submitted"])
def test_start_is_estimated_from_how_long_others_waited(api: APIClient, owner: User, stranger: User, status: str):
    """The median, so that one that waited for hours does not count more than the others."""
    began_after(stranger, timedelta(minutes=4), timedelta(minutes=5), timedelta(hours=3))
    began_after(stranger, *[timedelta(minutes=1)] * 5, plan="enterprise")
    analysis = make_analysis(owner, status=status)
    document = asked(api, analysis).json()
    assert moment(document["estimated_start_at"]) == analysis.created_at + timedelta(minutes=5)
    assert document["estimated_finish_at"] is None
    (listed,) = api.get("/api/analyses").json()["results"]
    assert listed["estimated_start_at"] == document["estimated_start_at"]


def succeeded(owner: User, *paces: float, seconds: float = 60, **columns: Any) -> None:
    """Each waited for five minutes, and took so many seconds for each second of its video."""
    began = timezone.now() - timedelta(hours=1)
    for pace in paces:
        video = make_video(owner, facts={"duration_us": round(seconds * 1_000_000)})
        took = timedelta(seconds=pace * seconds)
        times = {"started_at": began, "finished_at": began + took}
        analysis = make_analysis(owner, video=video, status="succeeded", **times, **columns)
        change(analysis, created_at=began - timedelta(minutes=5))


def test_end_of_one_that_waits_is_estimated_from_the_pace_of_others(api: APIClient, owner: User, stranger: User):
    """Of the same model and options: others look at every tenth frame, or draw a video."""
    succeeded(stranger, 0.5, 0.4, 9)
    succeeded(stranger, 7, 7, 7, model="coco")
    succeeded(stranger, 8, 8, 8, options=AnalysisOptions(every_nth=10).to_dict())
    begun = timedelta(minutes=5)
    analysis = make_analysis(owner, video=make_video(owner, facts={"duration_us": 120_000_000}))
    document = asked(api, analysis).json()
    assert moment(document["estimated_start_at"]) == analysis.created_at + begun
    assert moment(document["estimated_finish_at"]) == analysis.created_at + begun + timedelta(seconds=60)


@pytest.mark.parametrize(
    ("paces", "facts"),
    [
        pytest.param([0.5, 0.5], {"duration_us": 60_000_000}, id="too few"),
        pytest.param([0.5, 0.5, 0.5], {"duration_us": None}, id="length not known"),
        pytest.param([0.5, 0.5, 0.5], None, id="not looked at"),
    ],
)
def test_end_of_one_that_waits_is_null_where_nothing_tells(
    api: APIClient, owner: User, paces: list[float], facts: Any
):
    began_after(owner, *[timedelta(minutes=5)] * 3, ago=timedelta(hours=2))
    succeeded(owner, *paces)
    document = asked(api, make_analysis(owner, video=make_video(owner, facts=facts))).json()
    assert document["estimated_start_at"] is not None
    assert document["estimated_finish_at"] is None


def test_only_the_last_twenty_count(api: APIClient, owner: User):
    began_after(owner, *[timedelta(minutes=50)] * 30, ago=timedelta(hours=5))
    began_after(owner, *[timedelta(minutes=2)] * 20)
    analysis = make_analysis(owner)
    assert moment(asked(api, analysis).json()["estimated_start_at"]) == analysis.created_at + timedelta(minutes=2)


def test_start_that_nothing_tells_is_null(api: APIClient, owner: User):
    began_after(owner, timedelta(minutes=5), timedelta(minutes=5))
    began_after(owner, *[timedelta(minutes=5)] * 9, ago=timedelta(hours=7))
    analysis = make_analysis(owner)
    assert asked(api, analysis).json()["estimated_start_at"] is None, "too few, and others too long ago"
    began_after(owner, timedelta(minutes=5))
    assert asked(api, analysis).json()["estimated_start_at"] is not None
    change(analysis, created_at=timezone.now() - timedelta(minutes=6))
    assert asked(api, analysis).json()["estimated_start_at"] is None, "it has waited longer than others"


def test_an_estimate_that_changes_is_sent(api: APIClient, owner: User):
    """It follows other rows than that of the analysis."""
    analysis = make_analysis(owner)
    etag = asked(api, analysis)["ETag"]
    began_after(owner, *[timedelta(minutes=5)] * 3)
    assert asked(api, analysis, etag).status_code == 200
