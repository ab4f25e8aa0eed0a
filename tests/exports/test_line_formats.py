"""JSON Lines, CSV and MOTChallenge: what is read back is what was found."""

import csv
import io
import json

import pytest
from hypothesis import given

from exports.values import AnalysisDescription, DetectionRow
from tests.exports.making import analyses, description, row, single, written

FLOATS = ("confidence", "x1", "y1", "x2", "y2")


def csv_rows(text: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


def mot_rows(text: bytes) -> list[list[float]]:
    return [[float(value) for value in line.split(",")] for line in text.decode().splitlines()]


def document(of: AnalysisDescription, found: DetectionRow) -> dict[str, object]:
    values = {**found._asdict(), "class": of.classes[found.class_id]}
    del values["shape"]
    return values


@given(analyses())
def test_json_lines_give_every_value_back(analysis):
    of, rows = analysis
    read = [json.loads(line) for line in written("jsonl", rows, of=of).decode().splitlines()]
    exact = [{**entry, **{name: single(entry[name]) for name in FLOATS}} for entry in read]
    assert exact == [document(of, found) for found in rows]


@pytest.mark.parametrize(
    ("task", "shape", "name", "geometry"),
    [
        pytest.param(
            "segment", (1.0, 2.0, 3.5, 4.0, 5.0, 6.25), "polygon", [[1, 2], [3.5, 4], [5, 6.25]], id="outline"
        ),
        pytest.param("pose", (1.0, 2.0, 0.5, 3.0, 4.0, 0.25), "keypoints", [[1, 2, 0.5], [3, 4, 0.25]], id="pose"),
        pytest.param("obb", (9.0, 8.0, 4.0, 2.0, 0.5), "obb", [9, 8, 4, 2, 0.5], id="rotated box"),
    ],
)
def test_json_lines_name_the_geometry_by_what_it_is(task, shape, name, geometry):
    line = json.loads(written("jsonl", [row(shape=shape)], of=description(task=task)))
    assert line[name] == geometry


def test_json_line_without_geometry_has_no_field_for_it():
    assert set(json.loads(written("jsonl", [row()]))) == {*document(description(), row())}


@given(analyses())
def test_csv_gives_every_value_back(analysis):
    """Class names may hold quotes, commas and line breaks."""
    of, rows = analysis
    read = csv_rows(written("csv", rows, of=of))
    assert [entry["class"] for entry in read] == [of.classes[found.class_id] for found in rows]
    assert [entry["track_id"] for entry in read] == [str(found.track_id or "") for found in rows]
    for name in FLOATS:
        assert [single(float(entry[name])) for entry in read] == [getattr(found, name) for found in rows]
    for name in ("frame_index", "ordinal", "pts_us", "class_id"):
        assert [int(entry[name]) for entry in read] == [getattr(found, name) for found in rows]


def test_csv_without_detections_still_says_what_its_columns_are():
    header = "frame_index,ordinal,pts_us,class_id,class,track_id,confidence,x1,y1,x2,y2,shape\r\n"
    assert written("csv", []).decode() == header


def test_csv_keeps_the_geometry_in_one_column():
    (entry,) = csv_rows(written("csv", [row(shape=(1.0, 2.5, 0.75))], of=description(task="pose")))
    assert entry["shape"] == "1.0 2.5 0.75"


def test_csv_is_as_rfc_4180_has_it():
    """Doubled quotes, and CR LF at the end of a line."""
    text = written("csv", [row()], of=description(classes=('a "b"\nc',))).decode()
    assert text.endswith('\r\n0,0,0,0,"a ""b""\nc",1,0.75,1.5,2.5,30.25,40.75,\r\n')


def test_motchallenge_counts_frames_and_pixels_from_one():
    """The columns are those of https://motchallenge.net/instructions/."""
    lines = written("motchallenge", [row(0, track_id=7), row(4, track_id=8)]).decode()
    assert lines == "1,7,2.5,3.5,28.75,38.25,0.75,-1,-1,-1\n5,8,2.5,3.5,28.75,38.25,0.75,-1,-1,-1\n"


def test_motchallenge_tracks_hold_no_detection_outside_a_track():
    """Evaluations refuse a file in which the id -1 stands twice in one frame."""
    rows = [row(0, 0, track_id=1), row(0, 1, track_id=None), row(0, 2, track_id=None)]
    assert [line[1] for line in mot_rows(written("motchallenge", rows))] == [1]


def test_motchallenge_detections_have_no_id():
    rows = [row(0, 0, track_id=None), row(0, 1, track_id=None)]
    assert [line[1] for line in mot_rows(written("motchallenge", rows, of=description(tracked=False)))] == [-1, -1]


@given(analyses())
def test_motchallenge_gives_boxes_back_within_a_ten_thousandth_of_a_pixel(analysis):
    of, rows = analysis
    tracked = [found for found in rows if found.track_id is not None]
    for line, found in zip(mot_rows(written("motchallenge", rows, of=of)), tracked, strict=True):
        frame, track, left, top, width, height, confidence, *unknown = line
        assert (frame, track, unknown) == (found.frame_index + 1, found.track_id, [-1, -1, -1])
        box = (left - 1, top - 1, left - 1 + width, top - 1 + height)
        assert box == pytest.approx(found[6:10], abs=1.1e-4)
        assert single(confidence) == found.confidence


@pytest.mark.parametrize("name", ["jsonl", "motchallenge"])
def test_no_detections_are_an_empty_file(name):
    assert written(name, []) == b""
