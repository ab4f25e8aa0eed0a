"""The models are what the runtime manifest says, now."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from backend.videos.catalogue import Catalogue
from backend.videos.checks import check_aws_clients, check_runtime_manifest
from contract.manifest import ManifestInvalid

GOOD = Path(__file__).parent / "manifest.json"
NAMES = ["shapes", "coco", "poses"]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "manifest.json"
    path.write_bytes(GOOD.read_bytes())
    return path


def replace(path: Path, text: str) -> None:
    """As deploys do, and with another time even on coarse clocks."""
    before = path.stat().st_mtime_ns
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


def with_models(*names: str) -> str:
    document = json.loads(GOOD.read_text())
    model = document["models"][0]
    document["models"] = [{**model, "name": name} for name in names]
    return json.dumps(document)


def test_models_of_every_task_are_offered(manifest: Path):
    catalogue = Catalogue(manifest)
    assert [model.name for model in catalogue.models()] == NAMES
    assert {model.name: model.task for model in catalogue.models()}["poses"] == "pose"
    assert catalogue.model("cats") is None


def test_new_manifest_is_read_without_a_restart(manifest: Path):
    catalogue = Catalogue(manifest)
    catalogue.models()
    replace(manifest, with_models("shapes", "new"))
    assert [model.name for model in catalogue.models()] == ["shapes", "new"]


@pytest.mark.parametrize("text", ["{", "{}", ""])
def test_faulty_replacement_leaves_the_last_good_one(manifest: Path, text: str):
    """A deploy that goes wrong must not stop requests that could be served."""
    catalogue = Catalogue(manifest)
    catalogue.models()
    replace(manifest, text)
    assert [model.name for model in catalogue.models()] == NAMES
    replace(manifest, with_models("mended"))
    replace(manifest, with_models("mended"))
    assert [model.name for model in catalogue.models()] == ["mended"]


def test_manifest_that_goes_away_leaves_the_last_good_one(manifest: Path):
    catalogue = Catalogue(manifest)
    catalogue.models()
    manifest.unlink()
    assert catalogue.models()


@pytest.mark.parametrize(
    ("text", "check_id"),
    [
        pytest.param(None, "videos.E001", id="missing"),
        pytest.param("{}", "videos.E001", id="faulty"),
        pytest.param(with_models(), "videos.E002", id="without models"),
    ],
)
def test_faulty_manifest_is_told_at_start(tmp_path: Path, settings: Any, text: str | None, check_id: str):
    settings.RUNTIME_MANIFEST = tmp_path / "manifest.json"
    if text is not None:
        settings.RUNTIME_MANIFEST.write_text(text)
    (message,) = check_runtime_manifest(None)
    assert message.id == check_id
    assert message.is_serious()


def test_never_good_manifest_is_an_error(tmp_path: Path):
    with pytest.raises(ManifestInvalid, match="nowhere"):
        Catalogue(tmp_path / "nowhere.json").models()


def test_missing_region_is_told_at_start(monkeypatch: pytest.MonkeyPatch):
    assert check_aws_clients(None) == []
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    (message,) = check_aws_clients(None)
    assert message.id == "videos.E003"
