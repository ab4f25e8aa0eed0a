"""Detections, tracks, history and pictures through the API, page by page."""

from typing import Any

import httpx
import pytest
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.videos.models import Analysis, AnalysisEvent
from contract.keys import annotated_video_key, poster_key, thumbnail_key
from tests.backend.making import SUMMARY, make_analysis, make_detection, make_second, make_track

pytestmark = pytest.mark.django_db


@pytest.fixture
def analysis(owner: User) -> Analysis:
    """Frames 0 to 4 with two boxes each: a circle of track 1, and a star that is not tracked."""
    analysis = make_analysis(owner, status="succeeded")
    for frame in range(5):
        make_detection(analysis, frame, 0, class_id=0, track_id=1)
        make_detection(analysis, frame, 1, class_id=3, track_id=None)
    make_detection(make_analysis(owner), 0)  # another analysis of the same user
    return analysis


def read_all(api: APIClient, link: str | None) -> list[Any]:
    rows: list[Any] = []
    while link:
        page = api.get(link).json()
        rows += page["results"]
        link = page["next"]
    return rows


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000])
def test_pages_give_every_detection_once_in_order(api: APIClient, analysis: Analysis, size: int):
    """A page may end in the middle of a frame."""
    rows = read_all(api, f"/api/analyses/{analysis.pk}/detections?page_size={size}")
    assert [(row["frame_index"], row["ordinal"]) for row in rows] == [(f, o) for f in range(5) for o in range(2)]


def test_detection_has_names_units_and_numbers_as_stored(api: APIClient, analysis: Analysis):
    row = api.get(f"/api/analyses/{analysis.pk}/detections").json()["results"][3]
    assert row == {
        "frame_index": 1,
        "ordinal": 1,
        "pts_us": 40_000,
        "class_id": 3,
        "class": "star",
        "track_id": None,
        "confidence": 0.75,
        "x1": 1.5,
        "y1": 2.5,
        "x2": 30.25,
        "y2": 40.75,
    }


@pytest.mark.parametrize(
    ("task", "shape", "name", "geometry"),
    [
        pytest.param("segment", [1, 2, 3.5, 4, 5, 6], "polygon", [[1, 2], [3.5, 4], [5, 6]], id="outline"),
        pytest.param("pose", [1, 2, 0.5, 3, 4, 1], "keypoints", [[1, 2, 0.5], [3, 4, 1]], id="key points"),
        pytest.param("obb", [15.5, 20.25, 10, 5, 0.5], "obb", [15.5, 20.25, 10, 5, 0.5], id="oriented box"),
    ],
)
def test_shape_has_a_name_that_says_what_it_is(
    api: APIClient, owner: User, task: str, shape: list[float], name: str, geometry: list[Any]
):
    """Also after the model is gone: the task is that of the request."""
    analysis = make_analysis(owner, model="retired", task=task)
    make_detection(analysis, 0, shape=shape)
    assert api.get(f"/api/analyses/{analysis.pk}").json()["task"] == task
    (row,) = api.get(f"/api/analyses/{analysis.pk}/detections").json()["results"]
    assert row[name] == geometry


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("frame=2", [(2, 0), (2, 1)], id="one frame"),
        pytest.param("class=star", [(f, 1) for f in range(5)], id="one class"),
        pytest.param("track=1", [(f, 0) for f in range(5)], id="one track"),
        pytest.param("class=circle&frame=4", [(4, 0)], id="class in frame"),
        pytest.param("frame=99", [], id="frame that is not there"),
        pytest.param("class=square", [], id="class that was not found"),
    ],
)
def test_detections_can_be_filtered(api: APIClient, analysis: Analysis, query: str, expected: Any):
    """The filter stays on when pages are turned."""
    rows = read_all(api, f"/api/analyses/{analysis.pk}/detections?page_size=1&{query}")
    assert [(row["frame_index"], row["ordinal"]) for row in rows] == expected


@pytest.mark.parametrize(
    ("query", "faulty"),
    [
        pytest.param("page_size=0", "page_size", id="page of nothing"),
        pytest.param("page_size=1001", "page_size", id="page too large"),
        pytest.param("page_size=ten", "page_size", id="page size in words"),
        pytest.param("cursor=xyz", "cursor", id="no cursor"),
        pytest.param("cursor=WzFd", "cursor", id="cursor of another list"),
        pytest.param("cursor=WyJhIiwiYiJd", "cursor", id="cursor of texts"),
        pytest.param("frame=-1", "frame", id="negative frame"),
        pytest.param("frame=99999999999999999999", "frame", id="frame beyond all numbers"),
        pytest.param("track=one", "track", id="track in words"),
        pytest.param("class=dog", "class", id="class the model lacks"),
    ],
)
def test_faulty_query_is_named(api: APIClient, analysis: Analysis, query: str, faulty: str):
    answer = api.get(f"/api/analyses/{analysis.pk}/detections?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [faulty]


def test_reading_a_page_takes_as_many_queries_however_far_it_is(
    api: APIClient, analysis: Analysis, django_assert_max_num_queries: Any
):
    """Offsets would read and throw away all rows before the page."""
    link = api.get(f"/api/analyses/{analysis.pk}/detections?page_size=4").json()["next"]
    with django_assert_max_num_queries(4) as queries:  # key, throttle, analysis, page
        api.get(link)
    assert "OFFSET" not in str(queries.captured_queries)


def test_tracks_are_listed_in_order(api: APIClient, analysis: Analysis):
    for track_id in (2, 1, 3):
        make_track(analysis, track_id, class_id=3 if track_id == 3 else 0)
    rows = read_all(api, f"/api/analyses/{analysis.pk}/tracks?page_size=1")
    assert [row["track_id"] for row in rows] == [1, 2, 3]
    assert rows[2] == {
        "track_id": 3,
        "class_id": 3,
        "class": "star",
        "first_frame": 0,
        "last_frame": 9,
        "first_pts_us": 0,
        "last_pts_us": 360_000,
        "duration_us": 360_000,
        "detections": 10,
        "confidence": 0.5,
        "path": [[0, 10.5, 20.25], [360_000, 12, 20.25]],
    }
    stars = read_all(api, f"/api/analyses/{analysis.pk}/tracks?class=star")
    assert [row["track_id"] for row in stars] == [3]


def test_seconds_are_listed_in_order(api: APIClient, analysis: Analysis):
    """A video's clock may begin before zero."""
    for second, class_id in ((1, 3), (0, 0), (-1, 0), (1, 0)):
        make_second(analysis, second, class_id=class_id)
    path = f"/api/analyses/{analysis.pk}/seconds"
    rows = read_all(api, f"{path}?page_size=1")
    assert [(row["second"], row["class"]) for row in rows] == [
        (-1, "circle"),
        (0, "circle"),
        (1, "circle"),
        (1, "star"),
    ]
    assert rows[3] == {"second": 1, "class_id": 3, "class": "star", "detections": 30, "most": 2, "tracks": 1}
    assert [row["second"] for row in read_all(api, f"{path}?class=star")] == [1]
    assert api.get(path.replace(str(analysis.pk), str(make_analysis(analysis.owner).pk))).json()["results"] == []


def test_history_is_in_the_order_it_happened(api: APIClient, analysis: Analysis):
    for status in ("queued", "submitted", "running"):
        AnalysisEvent.objects.create(analysis=analysis, status=status, source="job", detail={"n": 1})
    rows = read_all(api, f"/api/analyses/{analysis.pk}/events?page_size=2")
    assert [row["status"] for row in rows] == ["queued", "submitted", "running"]
    assert set(rows[0]) == {"id", "at", "status", "source", "detail"}


def test_thumbnails_can_be_fetched_from_their_urls(api: APIClient, owner: User, media: str, s3_client: Any):
    analysis = make_analysis(owner, status="succeeded")
    key = thumbnail_key(analysis.pk, 0)
    s3_client.put_object(Bucket=media, Key=key, Body=b"jpeg")
    analysis.summary = {"thumbnails": [{"key": key, "frame_index": 7, "pts_us": 280_000}]}
    analysis.save()
    (row,) = api.get(f"/api/analyses/{analysis.pk}/thumbnails").json()["results"]
    assert (row["frame_index"], row["pts_us"]) == (7, 280_000)
    answer = httpx.get(row["url"], timeout=90)
    assert answer.content == b"jpeg"
    assert answer.headers["Content-Type"] == "image/jpeg"


def test_poster_and_video_can_be_fetched_from_their_urls(api: APIClient, owner: User, media: str, s3_client: Any):
    analysis = make_analysis(owner, status="succeeded")
    keys = {"poster": poster_key(analysis.pk), "annotated_video": annotated_video_key(analysis.pk)}
    for name, key in keys.items():
        s3_client.put_object(Bucket=media, Key=key, Body=name.encode())
    analysis.summary = {**SUMMARY, **keys}
    analysis.save()
    found = api.get(f"/api/analyses/{analysis.pk}/media").json()
    for name, kind in (("poster", "image/jpeg"), ("annotated_video", "video/mp4")):
        answer = httpx.get(found[name]["url"], headers={"Range": "bytes=0-2"}, timeout=90)  # as a player asks
        assert (answer.status_code, answer.content) == (206, name[:3].encode())
        assert answer.headers["Content-Type"] == kind


@pytest.mark.parametrize("summary", [None, {"thumbnails": []}], ids=["unfinished", "from before there were any"])
def test_what_was_not_made_is_null(api: APIClient, owner: User, summary: Any):
    analysis = make_analysis(owner, summary=summary)
    found = api.get(f"/api/analyses/{analysis.pk}/media").json()
    assert found == {"poster": None, "annotated_video": None}


def test_unfinished_analysis_has_no_thumbnails_and_partial_results(api: APIClient, owner: User):
    analysis = make_analysis(owner, status="running")
    make_detection(analysis, 0)
    assert api.get(f"/api/analyses/{analysis.pk}/thumbnails").json() == {"results": [], "next": None}
    assert len(api.get(f"/api/analyses/{analysis.pk}/detections").json()["results"]) == 1


def test_class_names_are_those_of_the_request(api: APIClient, owner: User):
    """A model may leave the machine image; results it gave stay readable."""
    analysis = make_analysis(owner, model="retired", class_names=["pen", "cup"])
    make_detection(analysis, 0, class_id=1)
    make_detection(analysis, 1, class_id=9)
    names = [row["class"] for row in api.get(f"/api/analyses/{analysis.pk}/detections").json()["results"]]
    assert names == ["cup", "class 9"]
