"""Lists are narrowed and ordered by their parameters, and a parameter nobody knows is refused, not ignored."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.videos.filters import detections_where
from backend.videos.models import Analysis, Chunk, Video
from tests.backend.making import make_analysis, make_detection, make_second, make_track, make_video

pytestmark = pytest.mark.django_db

FRAME_US = 40_000
BOXES = [
    # frame, ordinal, class, track, confidence, width, height
    (0, 0, "circle", 1, 0.9, 10, 10),
    (0, 1, "star", None, 0.7, 100, 50),
    (1, 0, "circle", 1, 0.8, 10, 11),
    (2, 0, "square", 2, 0.7, 20, 20),
    (3, 0, "star", 3, 0.25, 5, 5),
    (5, 0, "circle", 2, 0.6, 200, 100),
]


def read_all(api: APIClient, link: str | None) -> list[Any]:
    rows: list[Any] = []
    while link:
        answer = api.get(link)
        assert answer.status_code == 200, answer.json()
        rows += answer.json()["results"]
        link = answer.json()["next"]
    return rows


def make_chunks(analysis: Analysis, *, frames: int, size: int) -> None:
    for number, first in enumerate(range(0, frames, size)):
        times = [frame * FRAME_US for frame in range(first, min(first + size, frames))]
        Chunk.objects.create(analysis=analysis, number=number, first_frame=first, pts_us=times)


@pytest.fixture
def analysis(owner: User) -> Analysis:
    """Six frames of 40 ms, in chunks of two, with BOXES in them."""
    analysis = make_analysis(owner, status="succeeded")
    make_chunks(analysis, frames=6, size=2)
    for frame, ordinal, name, track, confidence, width, height in BOXES:
        make_detection(
            analysis,
            frame,
            ordinal,
            class_id=analysis.class_names.index(name),
            track_id=track,
            confidence=confidence,
            x1=1,
            y1=2,
            x2=1 + width,
            y2=2 + height,
        )
    return analysis


@pytest.mark.parametrize(
    ("query", "places"),
    [
        pytest.param("", [0, 1, 2, 3, 4, 5], id="all"),
        pytest.param("from_frame=1&until_frame=3", [2, 3], id="frames, without the last"),
        pytest.param("from_us=40000", [2, 3, 4, 5], id="from a time on"),
        pytest.param("from_us=40001", [3, 4, 5], id="from between two frames on"),
        pytest.param("until_us=40000", [0, 1], id="until a time"),
        pytest.param("from_us=80000&until_us=120001", [3, 4], id="between two times"),
        pytest.param("from_us=-1", [0, 1, 2, 3, 4, 5], id="from before the start"),
        pytest.param("until_us=-5", [], id="until before the start"),
        pytest.param("from_us=9000000", [], id="from after the end"),
        pytest.param("until_us=9000000", [0, 1, 2, 3, 4, 5], id="until after the end"),
        pytest.param("class=star", [1, 4], id="one class"),
        pytest.param("class=star&class=square", [1, 3, 4], id="two classes"),
        pytest.param("track=2", [3, 5], id="one track"),
        pytest.param("min_confidence=0.7", [0, 1, 2, 3], id="confidence, as it is shown"),
        pytest.param("max_confidence=0.7", [1, 3, 4, 5], id="at most a confidence"),
        pytest.param("max_area=5e-235", [], id="an area too small for a real"),
        pytest.param("min_area=110&max_area=5000", [1, 2, 3], id="area"),
        pytest.param("class=circle&from_us=1&min_area=1000", [5], id="all of them hold"),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_detections_are_those_for_which_every_filter_holds(
    api: APIClient, analysis: Analysis, query: str, places: list[int], size: int
):
    """Also page by page."""
    rows = read_all(api, f"/api/analyses/{analysis.pk}/detections?page_size={size}&{query}")
    assert [(row["frame_index"], row["ordinal"]) for row in rows] == [BOXES[place][:2] for place in places]


@pytest.mark.parametrize("tracks", [True, False], ids=["finished", "running"])
def test_a_track_is_found_with_and_without_its_row(api: APIClient, analysis: Analysis, tracks: bool):
    """Tracks are written when the analysis ends, and its boxes can be read before."""
    if tracks:
        make_track(analysis, 2, first_frame=2, last_frame=5)
    rows = read_all(api, f"/api/analyses/{analysis.pk}/detections?track=2")
    assert [row["frame_index"] for row in rows] == [2, 5]


def test_chunks_that_are_missing_hide_nothing(api: APIClient, analysis: Analysis):
    """The jobs of an array store theirs in any order."""
    Chunk.objects.filter(analysis=analysis, number=1).delete()
    rows = read_all(api, f"/api/analyses/{analysis.pk}/detections?from_us=120000&until_us=200001")
    assert [row["frame_index"] for row in rows] == [3, 5]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("from_us=400000", [2, 3], id="still there at a time"),
        pytest.param("until_us=400000", [1, 2], id="there before a time"),
        pytest.param("frame=10", [2], id="there in a frame"),
        pytest.param("track=3", [3], id="one"),
        pytest.param("class=star&class=square", [2, 3], id="two classes"),
        pytest.param("min_confidence=0.7", [1, 2], id="confidence, as it is shown"),
        pytest.param("max_confidence=0.7", [2, 3], id="at most a confidence"),
        pytest.param("min_detections=6", [1, 3], id="number of boxes"),
        pytest.param("min_duration_us=360000", [1, 3], id="duration"),
    ],
)
def test_tracks_are_those_for_which_every_filter_holds(api: APIClient, owner: User, query: str, found: list[int]):
    analysis = make_analysis(owner, status="succeeded")
    make_track(analysis, 1, confidence=0.9)
    make_track(
        analysis,
        2,
        class_id=1,
        confidence=0.7,
        detections=5,
        first_frame=8,
        last_frame=12,
        first_pts_us=320_000,
        last_pts_us=480_000,
    )
    make_track(
        analysis,
        3,
        class_id=3,
        confidence=0.5,
        first_frame=20,
        last_frame=29,
        first_pts_us=800_000,
        last_pts_us=1_160_000,
    )
    rows = read_all(api, f"/api/analyses/{analysis.pk}/tracks?page_size=1&{query}")
    assert [row["track_id"] for row in rows] == found


def test_seconds_are_narrowed_by_time_and_classes(api: APIClient, owner: User):
    analysis = make_analysis(owner, status="succeeded")
    for second, class_id in ((-1, 0), (0, 0), (1, 1), (1, 3), (2, 0)):
        make_second(analysis, second, class_id=class_id)
    path = f"/api/analyses/{analysis.pk}/seconds"
    assert [row["second"] for row in read_all(api, f"{path}?from_second=0&until_second=2")] == [0, 1, 1]
    assert [row["class"] for row in read_all(api, f"{path}?class=star&class=square")] == ["square", "star"]


def test_a_time_is_looked_up_in_the_index_of_frames(owner: User):
    """An hour of video has a million boxes; the last minute must not take as long as all of them."""
    analysis = make_analysis(owner, status="succeeded")
    make_chunks(analysis, frames=20_000, size=1000)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO videos_detection"
            " (analysis_id, frame_index, ordinal, pts_us, class_id, track_id, confidence, x1, y1, x2, y2)"
            " SELECT %s, frame, box, frame::bigint * %s, 0, box, 0.5, 1, 2, 3, 4"
            " FROM generate_series(0, 19999) AS frame, generate_series(0, 4) AS box",
            [analysis.pk, FRAME_US],
        )
        cursor.execute("ANALYZE videos_detection")
    make_track(analysis, 3, first_frame=19_000, last_frame=19_100)
    for query in ({"from_us": 19_990 * FRAME_US}, {"until_us": 10 * FRAME_US}, {"track": 3}):
        rows = detections_where(analysis, query).order_by("frame_index", "ordinal")
        plan = json.loads(rows.explain(format="json", analyze=True))[0]["Plan"]
        while plan["Node Type"] not in ("Index Scan", "Bitmap Heap Scan", "Seq Scan"):
            (plan,) = plan["Plans"]
        assert plan["Node Type"] != "Seq Scan"
        read = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        assert plan["Actual Rows"] > 0
        assert read <= 5 * 1000, "no more than the chunk in which the time lies"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("", ["c", "b", "a"], id="newest first"),
        pytest.param("order=created_at", ["a", "b", "c"], id="oldest first"),
        pytest.param("status=running", ["b"], id="one status"),
        pytest.param("status=running&status=failed", ["c", "b"], id="two statuses"),
        pytest.param("model=coco", ["c"], id="model"),
        pytest.param("created_after=2026-01-02T00:00:00Z", ["c"], id="later"),
        pytest.param("created_before=2026-01-02T00:00:00Z", ["a"], id="earlier, without the moment itself"),
        pytest.param("created_before=2026-01-02T01:00:00%2B02:00", ["a"], id="a time with its offset"),
        pytest.param("created_after=2026-01-01T00:00Z&created_before=2026-01-03T00:00Z", ["b"], id="between"),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_analyses_are_narrowed_and_ordered(api: APIClient, owner: User, query: str, found: list[str], size: int):
    names = {}
    for day, (name, status, model) in enumerate(
        [("a", "succeeded", "shapes"), ("b", "running", "shapes"), ("c", "failed", "coco")], start=1
    ):
        analysis = make_analysis(owner, status=status, model=model)
        Analysis.objects.filter(pk=analysis.pk).update(created_at=f"2026-01-0{day}T00:00:00Z")
        names[str(analysis.pk)] = name
    rows = read_all(api, f"/api/analyses?page_size={size}&{query}")
    assert [names[row["id"]] for row in rows] == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("order=filename", ["A.mp4", "b.mov", "c.mp4"], id="by name"),
        pytest.param("order=-size_bytes", ["c.mp4", "b.mov", "A.mp4"], id="largest first"),
        pytest.param("filename=MP4&order=filename", ["A.mp4", "c.mp4"], id="part of a name"),
        pytest.param("filename=%25", [], id="no wildcards"),
        pytest.param("status=uploading", ["b.mov"], id="status"),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_videos_are_narrowed_and_ordered(api: APIClient, owner: User, query: str, found: list[str], size: int):
    for filename, size_bytes in (("A.mp4", 1), ("b.mov", 2), ("c.mp4", 3)):
        make_video(
            owner, filename=filename, size_bytes=size_bytes, status="uploading" if filename == "b.mov" else "ready"
        )
    rows = read_all(api, f"/api/videos?page_size={size}&{query}")
    assert [row["filename"] for row in rows] == found


@pytest.mark.parametrize("column", ["created_at", "filename", "size_bytes"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_pages_are_stable_while_rows_come(api: APIClient, owner: User, sign: str, column: str):
    """What was there when the first page was read comes exactly once, whatever is added meanwhile."""
    before = [str(make_video(owner, filename=name, size_bytes=7).pk) for name in ("b", "d", "d", "f")]
    added = iter("aceg")
    seen: list[str] = []
    link: str | None = f"/api/videos?page_size=1&order={sign}{column}"
    while link is not None:
        page = api.get(link).json()
        seen += [row["id"] for row in page["results"]]
        link = page["next"]
        if name := next(added, None):
            video = make_video(owner, filename=name, size_bytes=ord(name) % 10)
            Video.objects.filter(pk=video.pk).update(created_at=Now() - timedelta(days=ord(name) % 3 - 1))
    assert len(seen) == len(set(seen))
    assert set(before) <= set(seen)


@pytest.mark.parametrize(
    ("path", "query", "faulty"),
    [
        pytest.param("/api/videos", "colour=red", "colour", id="unknown parameter of videos"),
        pytest.param("/api/videos", "status=running", "status", id="status of something else"),
        pytest.param("/api/videos", "order=status", "order", id="order that does not exist"),
        pytest.param("/api/analyses", "stauts=running", "stauts", id="misspelt parameter"),
        pytest.param("/api/analyses", "status=running&status=over", "status", id="one of two statuses"),
        pytest.param("/api/analyses", "created_after=yesterday", "created_after", id="no time"),
        pytest.param("/api/analyses", "video=x", "video", id="no id"),
        pytest.param("/api/analyses", "model=a&model=b", "model", id="given twice"),
        pytest.param("/api/analyses", "page_size=201", "page_size", id="page too large"),
        pytest.param("DETECTIONS", "min_confidence=nan", "min_confidence", id="not a number"),
        pytest.param("DETECTIONS", "max_area=inf", "max_area", id="infinite"),
        pytest.param("DETECTIONS", "min_confidence=40", "min_confidence", id="percent"),
        pytest.param("DETECTIONS", "from_us=9223372036854775808", "from_us", id="beyond all times"),
        pytest.param("DETECTIONS", "class=circle&class=dog", "class", id="one of two classes"),
        pytest.param("DETECTIONS", "classes=circle", "classes", id="unknown parameter of detections"),
        pytest.param("TRACKS", "min_area=3", "min_area", id="a filter of another list"),
        pytest.param("THUMBNAILS", "page=2", "page", id="unknown parameter of thumbnails"),
    ],
)
def test_faulty_parameter_is_named(api: APIClient, analysis: Analysis, path: str, query: str, faulty: str):
    """A misspelt filter that is ignored would answer with rows nobody asked for."""
    where = path if path.startswith("/") else f"/api/analyses/{analysis.pk}/{path.lower()}"
    answer = api.get(f"{where}?{query}")
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [faulty]
    assert answer.json()["errors"][faulty][0]


def test_cursor_of_another_order_is_refused(api: APIClient, owner: User):
    """It would give a page of rows that do not follow the ones before."""
    for _ in range(2):
        make_video(owner)
    link = api.get("/api/videos?page_size=1&order=filename").json()["next"]
    answer = api.get(link.replace("order=filename", "order=-created_at"))
    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == ["cursor"]
