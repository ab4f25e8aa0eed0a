"""A bake's trial: every engine must find in a real clip what the reference finds there."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import openvino
import openvino.preprocess
import pytest

from contract.manifest import RUNTIME_ABI, ModelEntry, ModelFormat, RuntimeManifest
from demo.video import make_demo_video
from packer.packer_py_wrapper.content import REPOSITORY
from packer.runtime.comparing import TOLERANCES, Row, Tolerance, agreement
from packer.runtime.errors import BakeFailed
from packer.runtime.placing import place_models
from packer.runtime.trying import try_models
from tests.batch_job.media import write_video

TOLERANCE = Tolerance(overlap=0.9, confidence=0.05)


def row(**changes: float) -> Row:
    return {"frame_index": 3, "class_id": 1, "confidence": 0.8, "x1": 0, "y1": 0, "x2": 100, "y2": 100} | changes


@pytest.mark.parametrize(
    ("found", "same"),
    [
        pytest.param([row()], 1, id="equal"),
        pytest.param([row(class_id=2), row(x2=104, confidence=0.76)], 1, id="nearly equal, among others"),
        pytest.param([row(x2=120)], 0, id="another place"),
        pytest.param([row(x1=200, x2=300)], 0, id="no overlap at all"),
        pytest.param([row(confidence=0.74)], 0, id="less sure"),
        pytest.param([row(class_id=2)], 0, id="another class"),
        pytest.param([row(frame_index=4)], 0, id="another frame"),
        pytest.param([], 0, id="nothing"),
    ],
)
def test_a_box_is_the_same_within_the_tolerance(found: list[Row], same: int) -> None:
    assert agreement([row()], found, TOLERANCE) == (1, same)


def test_boxes_that_come_and_go_are_not_looked_for() -> None:
    """Rounding alone decides whether they reach the threshold."""
    assert agreement([row(confidence=0.29), row()], [row()], TOLERANCE) == (1, 1)


def test_half_precision_is_given_more_room_than_single() -> None:
    assert TOLERANCES["native"].overlap < TOLERANCES["f32"].overlap == 0.95
    assert TOLERANCES["native"].confidence > TOLERANCES["f32"].confidence == 0.02


@pytest.fixture
def model(tmp_path: Path) -> ModelEntry:
    return place_models(REPOSITORY, tmp_path / "models", seen_at=tmp_path / "models")[0]


def promising(folder: Path, *models: ModelEntry, engines: tuple[str, ...] = ("openvino", "onnx")) -> Path:
    manifest = RuntimeManifest(
        abi=RUNTIME_ABI, python="3.11", torch=None, cuda=None, driver_floor=None, engines=engines, models=models
    )
    path = folder / "manifest.json"
    path.write_text(manifest.to_json())
    return path


def test_engines_that_agree_pass(model: ModelEntry, tmp_path: Path) -> None:
    """Two that compute the same network in their own ways, on the analyser's own command."""
    clip = make_demo_video(tmp_path / "clip.mp4", seconds=1).path

    first, second = try_models(REPOSITORY, promising(tmp_path, model), clip)

    assert first.startswith("model demo-shapes in onnx: ")
    assert second.startswith("model demo-shapes in openvino: ")
    assert second.endswith(" boxes are the same")
    assert int(second.partition("; ")[2].split()[0]) > 10


def test_an_engine_that_finds_something_else_stops_the_bake(model: ModelEntry, tmp_path: Path) -> None:
    """Its files are those of the manifest and it runs: nothing else would tell."""
    form = model.formats["openvino"]
    darker = openvino.preprocess.PrePostProcessor(openvino.Core().read_model(Path(model.root) / form.entry))
    darker.input().preprocess().scale(4.0)
    openvino.save_model(darker.build(), tmp_path / "darker.xml")  # aside, as the weights are mapped from the file
    for suffix in (".xml", ".bin"):
        (tmp_path / "darker").with_suffix(suffix).replace((Path(model.root) / form.entry).with_suffix(suffix))
    files = {name: hashlib.sha256((Path(model.root) / name).read_bytes()).hexdigest() for name in form.files}
    spoilt = dataclasses.replace(
        model, formats={**model.formats, "openvino": ModelFormat(entry=form.entry, files=files)}
    )
    clip = make_demo_video(tmp_path / "clip.mp4", seconds=1).path

    with pytest.raises(BakeFailed, match=r"model demo-shapes finds \d+ of onnx's \d+ boxes in openvino"):
        list(try_models(REPOSITORY, promising(tmp_path, spoilt), clip))


def test_a_clip_that_shows_nothing_proves_nothing(model: ModelEntry, tmp_path: Path) -> None:
    """The engine's boxes would equal the reference's, whatever it computes."""
    clip = write_video(tmp_path / "black.mp4", [np.zeros((96, 160, 3), np.uint8)] * 5)

    with pytest.raises(BakeFailed, match="finds nothing in the clip in onnx"):
        list(try_models(REPOSITORY, promising(tmp_path, model), clip))


def test_an_engine_file_alone_has_nothing_to_be_held_against(model: ModelEntry, tmp_path: Path) -> None:
    form = ModelFormat(entry="a.engine", files={"a.engine": "0" * 64}, compute_capability="8.9")
    alone = dataclasses.replace(model, formats={"tensorrt": form})

    with pytest.raises(BakeFailed, match="no engine that its TensorRT engine could be held against"):
        list(try_models(REPOSITORY, promising(tmp_path, alone, engines=("tensorrt", "torch")), tmp_path / "clip"))
