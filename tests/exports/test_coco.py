"""COCO, as its own reader pycocotools takes it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from exports.values import AnalysisDescription, DetectionRow
from tests.exports.making import analyses, description, row, single, written


def read(rows: list[DetectionRow], *, of: AnalysisDescription | None = None, count: int = 5) -> Any:
    return json.loads(written("coco", rows, of=of, count=count))


@pytest.fixture
def loaded(tmp_path: Path):
    def load(rows: list[DetectionRow], **how: Any) -> COCO:
        path = tmp_path / "a.coco.json"
        path.write_bytes(written("coco", rows, **how))
        return COCO(str(path))

    return load


@given(analyses())
def test_values_and_references_hold(analysis):
    """The fields and their types are those of https://cocodataset.org/#format-data."""
    of, rows = analysis
    document = read(rows, of=of)
    images = {image["id"]: image for image in document["images"]}
    categories = {category["id"]: category for category in document["categories"]}
    assert [category["name"] for category in document["categories"]] == list(of.classes)
    assert [annotation["id"] for annotation in document["annotations"]] == list(range(1, len(rows) + 1))
    for annotation, found in zip(document["annotations"], rows, strict=True):
        x, y, width, height = annotation["bbox"]
        assert images[annotation["image_id"]]["frame_index"] == found.frame_index
        assert categories[annotation["category_id"]]["name"] == of.classes[found.class_id]
        assert (single(x), single(y), single(annotation["score"])) == (found.x1, found.y1, found.confidence)
        assert (x + width, y + height) == pytest.approx((found.x2, found.y2), abs=1e-3)
        assert annotation["area"] == pytest.approx(width * height, rel=1e-5)
        assert annotation["track_id"] == found.track_id
        assert annotation["iscrowd"] == 0


def test_frames_without_detections_are_images_too():
    """An evaluation must count what was missed there."""
    document = read([row(1)], count=3)
    assert [(image["id"], image["frame_index"], image["pts_us"]) for image in document["images"]] == [
        (1, 0, 0),
        (2, 1, 40_000),
        (3, 2, 80_000),
    ]
    assert {(image["width"], image["height"]) for image in document["images"]} == {(640, 384)}
    assert document["images"][0]["file_name"] == "000001.jpg"


def test_nothing_found_is_still_a_document():
    document = read([], count=0)
    assert (document["annotations"], document["images"]) == ([], [])
    assert len(document["categories"]) == 4


def test_class_that_the_model_does_not_name_has_a_category():
    names = {category["id"]: category["name"] for category in read([row(class_id=5)])["categories"]}
    assert names[6] == "class 5"


def test_pycocotools_evaluates_it(loaded):
    """Taken for the truth and for the result, it agrees with itself: no identifier is lost on the way."""
    rows = [row(frame, 0, class_id=frame % 4, x2=60.0, y2=80.0) for frame in range(5)]
    truth = loaded(rows, count=5)
    evaluation = COCOeval(truth, truth.loadRes(truth.dataset["annotations"]), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == pytest.approx(1)


def test_outline_becomes_a_mask_of_its_area(loaded):
    triangle = (10.0, 10.0, 110.0, 10.0, 10.0, 90.0)
    coco = loaded([row(shape=triangle, x1=10.0, y1=10.0, x2=110.0, y2=90.0)], of=description(task="segment"))
    (annotation,) = coco.loadAnns(coco.getAnnIds())
    assert annotation["area"] == 4000
    assert mask.area(coco.annToRLE(annotation)) == pytest.approx(4000, rel=0.03)


@pytest.mark.parametrize("shape", [(), (1.0, 2.0), (1.0, 2.0, 3.0, 4.0), None])
def test_outline_of_less_than_three_points_is_left_out(shape):
    """pycocotools takes a polygon of four numbers for a box."""
    (annotation,) = read([row(shape=shape)], of=description(task="segment"))["annotations"]
    assert annotation["segmentation"] == []
    assert annotation["area"] == pytest.approx(28.75 * 38.25)


def test_rotated_box_becomes_its_four_corners(loaded):
    """A quarter turn swaps width and height; the area stays that of the rotated box."""
    shape = (100.0, 50.0, 40.0, 20.0, single(math.pi / 2))
    rows = [row(shape=shape, x1=90.0, y1=30.0, x2=110.0, y2=70.0)]
    coco = loaded(rows, of=description(task="obb"))
    (annotation,) = coco.loadAnns(coco.getAnnIds())
    (corners,) = annotation["segmentation"]
    assert sorted(zip(corners[0::2], corners[1::2], strict=True)) == [
        pytest.approx(corner, abs=1e-4) for corner in [(90, 30), (90, 70), (110, 30), (110, 70)]
    ]
    assert annotation["area"] == 800
    assert mask.area(coco.annToRLE(annotation)) == pytest.approx(800, rel=0.1)
    assert [single(value) for value in annotation["obb"]] == list(shape)


def test_rotation_goes_from_the_x_axis_towards_the_y_axis():
    """y points down, so a positive angle turns clockwise on the screen; ultralytics' xywhr has it so too."""
    (annotation,) = read([row(shape=(0.0, 0.0, 2.0, 0.0, 0.5))], of=description(task="obb"))["annotations"]
    x, y = annotation["segmentation"][0][:2]
    assert (x, y) == pytest.approx((math.cos(0.5), math.sin(0.5)), abs=1e-6)


def test_key_points_carry_visibility_and_their_confidence():
    shape = (1.0, 2.0, 0.9, 3.0, 4.0, 0.1)
    document = read([row(shape=shape)], of=description(task="pose", classes=("person",)))
    (annotation,) = document["annotations"]
    assert annotation["keypoints"] == [1, 2, 2, 3, 4, 1]
    assert annotation["num_keypoints"] == 2
    assert annotation["keypoint_scores"] == [0.9, 0.1]
    (category,) = document["categories"]
    assert (len(category["keypoints"]), category["skeleton"]) == (2, [])
