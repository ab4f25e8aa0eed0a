"""Whole results as files: what is in them, who gets them, and what is answered instead."""

import csv
import gc
import io
import json
import sys
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pyarrow import parquet
from rest_framework.test import APIClient

from backend.accounts.models import User
from backend.videos import exporting, representations
from backend.videos.models import Analysis, Detection
from contract.options import AnalysisOptions
from exports.formats import FORMATS
from tests.backend.making import make_analysis, make_detection, make_finished, make_video

pytestmark = pytest.mark.django_db

PER_FRAME = [2, 0, 1, 0, 3]


@pytest.fixture
def analysis(owner: User) -> Analysis:
    make_detection(make_analysis(owner), 0)  # another analysis of the same user
    return make_finished(owner, PER_FRAME)


def asked(api: APIClient, analysis: Analysis, name: str, **headers: Any) -> Any:
    return api.get(f"/api/analyses/{analysis.pk}/exports/{name}", headers=headers)


def body(answer: Any) -> bytes:
    async def read() -> bytes:
        return b"".join([piece async for piece in answer.streaming_content])

    assert answer.status_code == 200
    return bytes(async_to_sync(read)())


def csv_rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def every_place() -> list[tuple[int, int]]:
    return [(frame, ordinal) for frame, count in enumerate(PER_FRAME) for ordinal in range(count)]


@pytest.mark.parametrize("rows", [1, 2, 1000])
def test_export_holds_every_detection_once_in_order(
    api: APIClient, analysis: Analysis, rows: int, monkeypatch: pytest.MonkeyPatch
):
    """Rows are read some at a time, and a frame's may be parted."""
    monkeypatch.setattr(exporting, "ROWS_AT_A_TIME", rows)
    found = csv_rows(body(asked(api, analysis, "csv")))
    assert [(int(row["frame_index"]), int(row["ordinal"])) for row in found] == every_place()


@pytest.mark.parametrize(
    ("task", "shape"), [("detect", None), ("segment", [1, 2, 30, 4, 5, 40]), ("obb", [9, 9, 4, 2, 1])]
)
def test_json_lines_are_what_the_detection_list_says(
    api: APIClient, analysis: Analysis, task: str, shape: list[float] | None
):
    """One who has read a page knows what a line means."""
    Analysis.objects.update(task=task)
    Detection.objects.update(shape=shape)
    page = api.get(f"/api/analyses/{analysis.pk}/detections").json()["results"]
    assert [json.loads(line) for line in body(asked(api, analysis, "jsonl")).splitlines()] == page


@pytest.mark.parametrize("chunks", [1, 1000])
def test_coco_holds_every_analysed_frame(
    api: APIClient, analysis: Analysis, chunks: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(exporting, "CHUNKS_AT_A_TIME", chunks)
    document = json.loads(body(asked(api, analysis, "coco")))
    assert [image["pts_us"] for image in document["images"]] == [0, 40_000, 80_000, 120_000, 160_000]
    assert (document["images"][0]["width"], document["images"][0]["height"]) == (640, 384)
    assert len(document["annotations"]) == sum(PER_FRAME)


def test_parquet_is_a_whole_file(api: APIClient, analysis: Analysis):
    table = parquet.read_table(io.BytesIO(body(asked(api, analysis, "parquet"))))
    assert table["frame_index"].to_pylist() == [frame for frame, _ in every_place()]


def test_motchallenge_depends_on_whether_the_tracker_ran(api: APIClient, owner: User):
    untracked = make_finished(owner, [0], options=AnalysisOptions(track=False).to_dict())
    make_detection(untracked, 0, track_id=None)
    untracked.summary["detections"] = 1
    untracked.save()
    tracked = make_finished(owner, [1])
    assert [body(asked(api, one, "motchallenge"))[:5] for one in (untracked, tracked)] == [b"1,-1,", b"1,1,2"]


def test_numbers_keep_the_value_that_is_stored(api: APIClient, owner: User):
    """`real` in the database, shortest digits in the file."""
    analysis = make_finished(owner, [1])
    Detection.objects.update(confidence=0.1, x1=1234.5678)
    line = json.loads(body(asked(api, analysis, "jsonl")))
    assert (line["confidence"], line["x1"]) == (0.1, 1234.5677)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_has_its_media_type_and_a_file_name(api: APIClient, analysis: Analysis, name: str):
    answer = asked(api, analysis, name)
    assert answer["Content-Type"] == FORMATS[name].media_type
    wanted = f'attachment; filename="a-{analysis.pk.hex[:8]}{FORMATS[name].suffix}"'
    assert answer["Content-Disposition"] == wanted
    assert answer["Cache-Control"] == "no-store"
    assert body(answer)


@pytest.mark.parametrize(
    ("filename", "start"),
    [
        pytest.param("../../etc/passwd", 'filename="passwd-', id="path"),
        pytest.param("..", 'filename="_-', id="parent folder"),
        pytest.param('a"; filename="evil.exe', 'filename="a__ filename__evil-', id="quotes"),
        pytest.param("C:\\clips\\a.mp4", 'filename="C__clips_a-', id="path on Windows"),
        pytest.param("映画.mp4", "filename*=utf-8''%E6%98%A0%E7%94%BB-", id="other script"),
        pytest.param("n" * 250 + ".mp4", f'filename="{"n" * 100}-', id="long"),
    ],
)
def test_file_name_is_safe_whatever_the_video_is_called(api: APIClient, owner: User, filename: str, start: str):
    analysis = make_finished(owner, [], video=make_video(owner, filename=filename))
    assert asked(api, analysis, "csv")["Content-Disposition"].startswith(f"attachment; {start}")


def test_nothing_found_is_an_export_too(api: APIClient, owner: User):
    analysis = make_finished(owner, [0, 0])
    assert body(asked(api, analysis, "jsonl")) == b""
    assert csv_rows(body(asked(api, analysis, "csv"))) == []
    assert len(json.loads(body(asked(api, analysis, "coco")))["images"]) == 2
    assert parquet.read_table(io.BytesIO(body(asked(api, analysis, "parquet")))).num_rows == 0


def test_accept_header_does_not_stand_in_the_way(api: APIClient, analysis: Analysis):
    """The path has said which format comes."""
    assert asked(api, analysis, "csv", accept="text/csv").status_code == 200


def test_head_reads_nothing(api: APIClient, analysis: Analysis, django_assert_max_num_queries: Any):
    with django_assert_max_num_queries(5):  # API key, its last use, throttle, analysis, video
        answer = api.head(f"/api/analyses/{analysis.pk}/exports/csv")
    assert answer.status_code == 200
    assert answer["Content-Disposition"]
    assert "Content-Length" not in answer  # nobody knows it yet


@pytest.mark.parametrize("status", ["queued", "submitted", "running", "failed", "cancelled"])
def test_only_what_succeeded_is_exported(api: APIClient, owner: User, status: str):
    """A file that holds half of the results would look like one that holds all."""
    answer = asked(api, make_finished(owner, [1], status=status), "csv")
    assert answer.status_code == 409
    assert answer.json()["code"] == "analysis_not_succeeded"
    assert answer.json()["errors"] == {"status": [f"It is {status}."]}


@pytest.mark.parametrize("name", ["xml", "CSV", "csv.gz", "%00"])
def test_unknown_format_is_answered_with_those_there_are(api: APIClient, analysis: Analysis, name: str):
    answer = asked(api, analysis, name)
    assert answer.status_code == 404
    assert answer.json()["code"] == "export_format_unknown"
    assert answer.json()["errors"] == {"format": ["It must be one of coco, csv, jsonl, motchallenge, parquet."]}


def test_foreign_analysis_does_not_exist_whatever_is_asked_of_it(api: APIClient, stranger: User):
    """Neither its status nor the format may tell that it does."""
    foreign = (make_finished(stranger, [1]), make_finished(stranger, [1], status="running"))
    answers = [asked(api, analysis, name) for analysis in foreign for name in ("csv", "xml")]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["code"] for answer in answers} == {"not_found"}


def test_parquet_without_pyarrow_is_refused_and_not_offered(
    api: APIClient, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    # As in a process that never had it: what there is is looked for once.
    monkeypatch.setattr(representations, "offered_formats", representations.offered_formats.__wrapped__)
    answer = asked(api, analysis, "parquet")
    assert answer.status_code == 501
    assert answer.json()["code"] == "export_unavailable"
    links = api.get(f"/api/analyses/{analysis.pk}").json()["links"]["exports"]
    assert set(links) == {"jsonl", "csv", "coco", "motchallenge"}


def test_links_lead_to_the_exports(api: APIClient, analysis: Analysis):
    links = api.get(f"/api/analyses/{analysis.pk}").json()["links"]["exports"]
    assert set(links) == set(FORMATS)
    assert all(api.get(link).status_code == 200 for link in links.values())


def test_page_offers_the_files_once_there_are_any(owner: User, analysis: Analysis):
    """A browser is signed in by its session."""
    browser = Client()
    browser.force_login(owner)
    link = f"/api/analyses/{analysis.pk}/exports/csv"
    assert f'href="{link}"' in browser.get(f"/analyses/{analysis.pk}").content.decode()
    assert browser.get(link).status_code == 200
    running = make_finished(owner, [1], status="running")
    assert "/exports/" not in browser.get(f"/analyses/{running.pk}").content.decode()


@pytest.mark.parametrize("name", FORMATS)
def test_missing_rows_break_the_file_off(api: APIClient, analysis: Analysis, name: str):
    """Deleted while it is read, an analysis must not look like one in which less was found."""
    Detection.objects.filter(analysis_id=analysis.pk, frame_index=4).delete()
    with pytest.raises(exporting.ExportIncomplete):
        body(asked(api, analysis, name))


def test_missing_frames_break_the_file_off(api: APIClient, analysis: Analysis):
    analysis.chunks.get(number=0).delete()
    with pytest.raises(exporting.ExportIncomplete):
        body(asked(api, analysis, "coco"))


def test_database_that_is_away_at_the_start_is_503(
    api: APIClient, analysis: Analysis, monkeypatch: pytest.MonkeyPatch
):
    """What goes wrong before the first byte can still be said."""

    def fails(rows: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(exporting, "_read", fails)
    answer = asked(api, analysis, "jsonl")
    assert answer.status_code == 503
    assert answer.json()["code"] == "database_unavailable"


def test_so_many_at_a_time_are_made_for_one_user_and_no_more(
    api: APIClient, analysis: Analysis, stranger: User, stranger_api: APIClient, monkeypatch: pytest.MonkeyPatch
):
    """Each holds a thread and memory of the server, and a client may read as slowly as it likes."""
    monkeypatch.setattr(exporting, "MOST_PER_OWNER", 2)
    first, second = asked(api, analysis, "csv"), asked(api, analysis, "jsonl")
    refused = asked(api, analysis, "coco")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_exports")
    assert body(asked(stranger_api, make_finished(stranger, PER_FRAME), "coco"))
    assert body(first)
    assert body(asked(api, analysis, "coco"))
    del second  # as the server does where its client has gone
    gc.collect()
    assert all(body(asked(api, analysis, "csv")) for _ in range(3))


def test_rows_are_found_by_the_primary_key(analysis: Analysis):
    """Otherwise every query would read and throw away all rows before its own."""
    with CaptureQueriesContext(connection) as asked_for:
        list(exporting.rows_of(analysis))
    with connection.cursor() as cursor:
        # In a table as small as this one, PostgreSQL would rather read everything.
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        cursor.execute(f"EXPLAIN {asked_for[-1]['sql']}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Sort" not in plan
    assert (
        "ROW(analysis_id, frame_index, ordinal) > ROW(" in plan.partition("Index Cond")[2].partition("Filter")[0]
    )
