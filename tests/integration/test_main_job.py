"""A video goes in by HTTP and its detections and tracks come out, through every real part."""

import json
from collections.abc import Callable
from itertools import groupby

import httpx
import psycopg
import pytest

from demo.evaluation import Prediction, identity_switches, score
from demo.video import DemoVideo, make_demo_video, read_truth
from tests.stored import rows_of


@pytest.fixture(scope="module")
def crossing(tmp_path_factory) -> DemoVideo:
    return make_demo_video(tmp_path_factory.mktemp("crossing") / "scene.mp4", seconds=8, seed=90_001)


@pytest.fixture(scope="module")
def crossing_state(product, crossing):
    return product.analyse(crossing.path)


@pytest.fixture
def get(product) -> Callable[[str], dict]:
    def get(path: str) -> dict:
        headers = {"Authorization": f"Api-Key {product.stack.api_key}"}
        return (
            httpx.get(product.stack.url + path, headers=headers, trust_env=False, timeout=90)
            .raise_for_status()
            .json()
        )

    return get


@pytest.fixture
def predictions(get) -> Callable[[dict], list[Prediction]]:
    def predictions(state: dict) -> list[Prediction]:
        """All detections, page by page."""
        found, path = [], state["links"]["detections"]
        while path:
            page = get(path)
            found += page["results"]
            path = page["next"]
        return [Prediction(**{name: row[name] for name in Prediction.__slots__}) for row in found]

    return predictions


def test_what_is_found_is_what_was_drawn(crossing, crossing_state, predictions):
    """The product's promise, measured against ground truth that no part of it has seen."""
    result = score(read_truth(crossing.truth_path), predictions(crossing_state))

    assert crossing_state["status"] == "succeeded"
    assert result.precision >= 0.95, result
    assert result.recall >= 0.95, result


def test_an_object_that_meets_no_other_keeps_its_track(product, predictions, tmp_path):
    """Where nothing is ambiguous, a changed identity can only be our mistake."""
    video = make_demo_video(tmp_path / "lanes.mp4", seconds=8, seed=90_002, crossings=False)

    tracked = predictions(product.analyse(video.path))

    assert identity_switches(read_truth(video.truth_path), tracked) == 0
    assert score(read_truth(video.truth_path), [box for box in tracked if box.track_id]).recall >= 0.9


def test_the_summary_agrees_with_the_rows(crossing, crossing_state, predictions, get):
    """A person reads the summary and a program the rows; both must be told the same."""
    rows = predictions(crossing_state)
    tracks = get(crossing_state["links"]["tracks"])["results"]
    summary = crossing_state["summary"]

    assert summary["frames"] == crossing.frame_count == crossing_state["frames_done"]
    assert summary["detections"] == len(rows) == sum(one["detections"] for one in summary["per_class"].values())
    assert summary["tracks"] == len(tracks) == len({row.track_id for row in rows if row.track_id is not None})
    assert sum(track["detections"] for track in tracks) == sum(row.track_id is not None for row in rows)


def test_the_decode_report_tells_what_the_file_was(crossing, crossing_state):
    """Without it a result cannot be told from that of half a file."""
    report = crossing_state["decode_report"]

    assert (report["width"], report["height"], report["codec"]) == (640, 360, "h264")
    assert (
        report["declared_frames"] == report["decoded_frames"] == report["analysed_frames"] == crossing.frame_count
    )
    assert report["skipped"] == []
    assert (report["first_pts_us"], report["last_pts_us"]) == (0, round((crossing.frame_count - 1) * 1e6 / 30))


def test_the_exports_hold_what_the_job_stored(product, crossing, crossing_state, predictions):
    """Written by one part and read by another; the counts at the end of an export must agree."""
    with httpx.Client(base_url=product.stack.url, trust_env=False, timeout=90) as client:
        client.headers["Authorization"] = f"Api-Key {product.stack.api_key}"
        links = crossing_state["links"]["exports"]
        files = {name: client.get(link).raise_for_status().content for name, link in links.items()}

    rows = predictions(crossing_state)
    coco = json.loads(files["coco"])
    assert len(coco["images"]) == crossing.frame_count
    assert len(coco["annotations"]) == len(files["jsonl"].splitlines()) == len(rows)
    assert len(files["csv"].splitlines()) == len(rows) + 1
    assert len(files["motchallenge"].splitlines()) == sum(row.track_id is not None for row in rows)


def test_the_history_shows_each_stop_once_and_in_order(crossing_state, get):
    """An operator debugs with it. What AWS Batch tells stands beside the status that it found, sooner or later."""
    statuses = [event["status"] for event in get(crossing_state["links"]["events"])["results"]]

    stops = [status for status, _ in groupby(statuses)]
    assert [status for status in stops if status != "submitted"] == ["queued", "running", "succeeded"]


def test_thumbnails_can_be_seen_and_only_by_signed_links(crossing_state, get):
    """The bucket is private; the page shows pictures straight from it."""
    thumbnails = get(crossing_state["links"]["thumbnails"])["results"]

    assert len(thumbnails) == 6
    answer = httpx.get(thumbnails[0]["url"], trust_env=False, timeout=90)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.content.startswith(b"\xff\xd8\xff")


def test_the_page_shows_the_result(product, crossing_state):
    """People read pages, not JSON."""
    with httpx.Client(base_url=product.stack.url, follow_redirects=True, trust_env=False, timeout=90) as browser:
        login = browser.get(crossing_state["links"]["page"])
        token = login.cookies["csrftoken"]
        form = {"username": "demo", "password": product.stack.password, "csrfmiddlewaretoken": token}
        page = browser.post(str(login.url), data=form, headers={"Referer": str(login.url)})

    assert page.status_code == 200
    assert "circle" in page.text


def test_two_analyses_of_one_video_find_the_same(product, crossing, crossing_state):
    """Results do not depend on timing, or nobody could compare two runs."""
    again = product.analyse(crossing.path)

    with psycopg.connect(product.stack.database_url) as connection:
        assert rows_of(connection, again["id"]) == rows_of(connection, crossing_state["id"])


def test_sampling_keeps_the_streams_own_times(product, crossing, predictions):
    """Every third frame is still shown when it was shown."""
    state = product.analyse(crossing.path, every_nth=3, classes=["circle"])

    rows = predictions(state)
    assert state["summary"]["frames"] == -(-crossing.frame_count // 3)
    assert set(state["summary"]["per_class"]) == {"circle"}
    with psycopg.connect(product.stack.database_url) as connection:
        query = "SELECT DISTINCT frame_index, pts_us FROM videos_detection WHERE analysis_id = %s"
        assert rows
        assert all(pts == index * 100_000 for index, pts in connection.execute(query, [state["id"]]))
