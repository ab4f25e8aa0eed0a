"""Model files that a person names on a command line."""

import hashlib
import pickle
from pathlib import Path

import pytest

from batch_job.model_files import ModelUnusable, describe
from tests.batch_job.job import ROOT
from tests.batch_job.models import save_colour_network

SHAPES = ROOT / "models" / "demo-shapes"


@pytest.mark.parametrize(
    ("name", "engine", "size"),
    [
        pytest.param("demo-shapes_openvino", "openvino", (384, 640), id="OpenVINO folder"),
        pytest.param("demo-shapes_openvino/demo-shapes.xml", "openvino", (384, 640), id="OpenVINO network"),
        pytest.param("demo-shapes.onnx", "openvino", (384, 640), id="ONNX"),
        pytest.param("demo-shapes.pt", "torch", (640, 640), id="checkpoint", marks=pytest.mark.torch),
    ],
)
def test_a_model_is_what_its_own_metadata_says(
    request: pytest.FixtureRequest, name: str, engine: str, size: tuple[int, int]
) -> None:
    """Class names typed by hand would be wrong one day."""
    if engine == "torch":
        request.getfixturevalue("ultralytics_installed")
    entry = describe(SHAPES / name)
    assert (entry.task, entry.classes) == ("detect", ("circle", "square", "triangle", "star"))
    assert (entry.input_size, entry.stride) == (size, 32)
    (form,) = entry.formats.items()
    assert form[0] == engine
    for file, digest in form[1].files.items():
        assert hashlib.sha256((Path(entry.root) / file).read_bytes()).hexdigest() == digest


def test_an_export_without_metadata_is_refused(tmp_path: Path) -> None:
    save_colour_network(tmp_path)
    with pytest.raises(ModelUnusable, match=r"metadata\.yaml cannot be read"):
        describe(tmp_path / "colours.xml")


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        pytest.param("{names: {0: red}, stride: 32, task: detect}", "lacks 'imgsz'", id="no size"),
        pytest.param("{names: {0: red}, imgsz: [96, 160, 3], stride: 32, task: detect}", "no sense", id="3 sides"),
        pytest.param("{names: {0: red}, imgsz: big, stride: 32, task: detect}", "no sense", id="a word"),
        pytest.param("{names: {0: red}, imgsz: 0, stride: 32, task: detect}", "no sense", id="no pixel"),
        pytest.param("{names: {0: red}, imgsz: 96, stride: 0, task: detect}", "no sense", id="no stride"),
        pytest.param("{names: [red, green], imgsz: 96, stride: 32, task: detect}", "no sense", id="list of names"),
        pytest.param("{names: 3, imgsz: 96, stride: 32, task: detect}", "no sense", id="a number of names"),
        pytest.param("{names: {0: red}, imgsz: 96, stride: 32, task: depth}", "task depth", id="no such task"),
        pytest.param("[1, 2]", "lacks", id="a list"),
        pytest.param(": : [", "is not YAML", id="no YAML"),
    ],
)
def test_metadata_that_make_no_sense_are_refused(tmp_path: Path, metadata: str, reason: str) -> None:
    save_colour_network(tmp_path)
    (tmp_path / "metadata.yaml").write_text(metadata)
    with pytest.raises(ModelUnusable, match=reason):
        describe(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x08\x07\x12", b"not a network"], ids=["empty", "cut off", "text"])
def test_an_onnx_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(content)
    with pytest.raises(ModelUnusable, match=r"x\.onnx|lacks"):
        describe(tmp_path / "x.onnx")


@pytest.mark.torch
@pytest.mark.parametrize(
    "content", [b"", b"text", pickle.dumps({"a": 1})], ids=["empty", "text", "another pickle"]
)
def test_a_checkpoint_that_is_none_is_refused(tmp_path: Path, ultralytics_installed: None, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(ModelUnusable, match=r"x\.pt cannot be opened") as refused:
        describe(tmp_path / "x.pt")
    assert "\n" not in str(refused.value)
    assert "ERROR" not in str(refused.value)
