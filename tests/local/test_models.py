"""A person's own weights in the runtime manifest."""

import hashlib
from pathlib import Path

import pytest

from local.errors import ModelUnusable
from local.models import add_model
from tests.batch_job.models import save_colour_network

METADATA = "task: detect\nnames: {0: red, 1: green, 2: blue}\nimgsz: [96, 160]\nstride: 32\n"


@pytest.fixture
def export(tmp_path) -> Path:
    """What ultralytics leaves behind when it exports to OpenVINO."""
    folder = tmp_path / "My Colours_openvino_model"
    save_colour_network(folder)
    (folder / "metadata.yaml").write_text(METADATA)
    return folder


def test_an_openvino_export_becomes_an_entry_with_the_hash_of_every_file(export, tmp_path):
    """The job loads a file only while it is the one its owner named."""
    entry = add_model(export, tmp_path / "kept")

    assert (entry.name, entry.classes, entry.input_size) == ("my-colours", ("red", "green", "blue"), (96, 160))
    files = entry.formats["openvino"].files
    assert {Path(name).suffix for name in files} == {".xml", ".bin"}
    for name, digest in files.items():
        assert hashlib.sha256((Path(entry.root) / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda folder: (folder / "metadata.yaml").unlink(), "neither a .pt", id="no metadata"),
        pytest.param(
            lambda folder: (folder / "metadata.yaml").write_text("task: detect"), "lacks", id="half of it"
        ),
        pytest.param(lambda folder: (folder / "metadata.yaml").write_text(""), "lacks", id="nothing in it"),
        pytest.param(lambda folder: (folder / "metadata.yaml").write_text("{"), "not YAML", id="no YAML"),
        pytest.param(lambda folder: (folder / "colours.bin").unlink(), "no OpenVINO network", id="no weights"),
        pytest.param(
            lambda folder: (folder / "metadata.yaml").write_text(METADATA.replace("detect", "pose")),
            "lacks 'kpt_shape'",
            id="a pose without key points",
        ),
        pytest.param(
            lambda folder: (folder / "metadata.yaml").write_text(METADATA.replace("detect", "depth")),
            "task depth",
            id="a task that is not ours",
        ),
    ],
)
def test_a_folder_that_is_no_export_is_refused_with_the_reason(export, tmp_path, spoil, reason):
    """The person at the terminal can mend what is named."""
    spoil(export)

    with pytest.raises(ModelUnusable, match=reason):
        add_model(export, tmp_path / "kept")


def test_a_pose_model_brings_its_key_points(export, tmp_path):
    """They are in no other place of an export that can be read without opening the network."""
    (export / "metadata.yaml").write_text(METADATA.replace("detect", "pose") + "kpt_shape: [17, 3]\n")

    entry = add_model(export, tmp_path / "kept")

    assert (entry.task, entry.keypoint_shape) == ("pose", (17, 3))


def test_the_name_of_a_model_of_ours_cannot_be_taken(export, tmp_path):
    """Otherwise one name would mean two networks."""
    taken = export.rename(tmp_path / "demo-shapes_openvino_model")

    with pytest.raises(ModelUnusable, match="give your file another"):
        add_model(taken, tmp_path / "kept")
