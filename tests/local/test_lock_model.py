"""A checkpoint on its way into the model lock: what is written there is what a bake takes and jobs can run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract import model_lock
from contract.manifest import RUNTIME_ABI, RuntimeManifest
from demo.video import make_demo_video
from local.errors import ModelUnusable
from local.runtime import REPOSITORY, locked_models
from packer.runtime.placing import check_models
from packer.runtime.trying import try_models
from tools.lock_model import lock_model, main

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("ultralytics_installed"), pytest.mark.timeout(600)]

ENGINES = ("ncnn", "onnx", "openvino", "torch")


@pytest.fixture
def source(media_bucket: str, aws_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_endpoint)
    return f"s3://{media_bucket}/models/my-shapes"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (demo, *_) = locked_models()
    path = tmp_path / "My Shapes.pt"
    shutil.copyfile(Path(demo.root) / demo.formats["torch"].entry, path)
    return path


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """As it is in the repository: a model stands in it."""
    path = tmp_path / "models.lock.json"
    shutil.copyfile(REPOSITORY / "models" / "models.lock.json", path)
    return path


def test_a_checkpoint_becomes_files_in_s3_and_lines_that_a_bake_accepts(
    weights: Path, lock: Path, source: str, media_bucket: str, s3_client: Any, tmp_path: Path
) -> None:
    """In every format, and each finds in a clip what torch finds: the bake's own trial."""
    before = json.loads(lock.read_text())["models"]

    made = lock_model(weights, source=source, size=(384, 640), lock=lock, work=tmp_path / "work")

    assert sorted(made["formats"]) == list(ENGINES)
    assert json.loads(lock.read_text())["models"] == [*before, made]
    fetched = tmp_path / "models" / "my-shapes"
    for form in made["formats"].values():
        for name in form["files"]:
            (fetched / name).parent.mkdir(parents=True, exist_ok=True)
            s3_client.download_file(media_bucket, f"models/my-shapes/{name}", str(fetched / name))
    entries = model_lock.locked_models(
        lock.read_text(), {name: str(fetched.parent / name) for name in model_lock.sources(lock.read_text())}
    )
    (entry,) = (each for each in entries if each.name == "my-shapes")
    assert (entry.task, entry.classes, entry.input_size) == ("detect", tuple(before[0]["classes"]), (384, 640))
    check_models((entry,), fetched.parent)
    manifest = tmp_path / "manifest.json"
    promised = RuntimeManifest(
        abi=RUNTIME_ABI, python="3.11", torch=None, cuda=None, driver_floor=None, engines=ENGINES, models=(entry,)
    )
    manifest.write_text(promised.to_json())
    clip = make_demo_video(tmp_path / "clip.mp4", seconds=1, seed=90_004).path

    said = list(try_models(REPOSITORY, manifest, clip))

    assert [line.split(" in ")[1].partition(":")[0] for line in said] == ["torch", "ncnn", "onnx", "openvino"]


def test_what_cannot_be_brought_or_opened_leaves_the_lock_as_it_was(weights: Path, lock: Path, tmp_path: Path):
    """A line whose files nobody has would stop every bake."""
    before = lock.read_bytes()
    text = tmp_path / "text.pt"
    text.write_text("no checkpoint")

    for path in (text, weights.with_suffix(".onnx")):
        with pytest.raises(ModelUnusable):
            lock_model(path, source="s3://bucket/x", size=None, lock=lock, work=tmp_path / "work")

    assert lock.read_bytes() == before


def test_bucket_that_takes_nothing_is_one_sentence(
    weights: Path, lock: Path, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    """With a model that was exported before."""
    (demo, *_) = locked_models()
    exported = replace(demo, root=str(shutil.copytree(demo.root, tmp_path / "exported")))
    monkeypatch.setattr("tools.lock_model.LOCK_PATH", lock)
    monkeypatch.setattr("tools.lock_model.described", lambda path, work: exported)
    monkeypatch.setattr("tools.lock_model.export_by", lambda *_, folder: (folder / "My Shapes.onnx").touch())
    before = lock.read_bytes()

    assert main([str(weights), "--source", "s3://no-such-bucket/my-shapes"]) == 1

    said = capsys.readouterr().err
    assert "NoSuchBucket" in said
    assert len(said.splitlines()) == 1
    assert lock.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(
            ("--source", "https://example.org/x"), "is neither s3://bucket/prefix nor a", id="a web server"
        ),
        pytest.param(("--source", "s3://bucket"), "is neither s3://bucket/prefix nor a", id="a whole bucket"),
        pytest.param(("--source", "models"), "is neither s3://bucket/prefix nor a", id="all models"),
        pytest.param(("--source", "../elsewhere"), "is neither s3://bucket/prefix nor a", id="another folder"),
        pytest.param(("--source", "models/x", "--size", "640"), "is no HEIGHTxWIDTH", id="one side"),
    ],
)
def test_a_mistake_is_one_sentence(
    arguments: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["weights.pt", *arguments])

    assert complaint in capsys.readouterr().err
