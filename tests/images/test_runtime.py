"""What a bake puts under /opt/runtime and /opt/models, and what it refuses to."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contract.manifest import RUNTIME_ABI, RuntimeManifest
from packer.runtime.errors import BakeFailed
from packer.runtime.placing import check_models, place_models
from tests.images.conftest import ROOT, Machine

# One worker, so that everything is made once; the first test of them waits for all of it.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("images"), pytest.mark.timeout(900)]

LOCKED = json.loads((ROOT / "models" / "models.lock.json").read_text())["models"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The models' part of a checkout, to be spoilt."""
    shutil.copytree(ROOT / "models", tmp_path / "checkout" / "models")
    return tmp_path / "checkout"


@pytest.fixture
def aws_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plays the `aws s3 cp` that Amazon Linux carries, over boto3."""
    script = tmp_path / "bin" / "aws"
    script.parent.mkdir()
    script.write_text(f"""#!{sys.executable}
import sys
import boto3
assert sys.argv[1:4] == ["s3", "cp", "--only-show-errors"]
bucket, _, key = sys.argv[4].removeprefix("s3://").partition("/")
boto3.client("s3").download_file(bucket, key, sys.argv[5])
""")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")


def test_the_manifest_promises_what_is_installed(furnished: Machine):
    """Jobs believe it before they touch a video."""
    manifest = RuntimeManifest.from_json((furnished.runtime / "manifest.json").read_text())

    manifest.require_abi(RUNTIME_ABI)
    assert manifest.engines == ("ncnn", "openvino")
    assert (manifest.torch, manifest.cuda, manifest.driver_floor) == (None, None, None)
    assert [model.name for model in manifest.models] == [model["name"] for model in LOCKED]
    assert manifest.models[0].root == f"/opt/models/{LOCKED[0]['name']}"


def test_the_last_check_passes_only_while_nothing_has_changed(furnished: Machine, tmp_path: Path):
    """It runs again after the clean-up, and stops an image that lost or changed a file on the way."""
    models = tmp_path / "models"
    shutil.copytree(furnished.models, models)
    assert _check(furnished, models).returncode == 0

    weights = next(models.rglob("*.bin"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    spoilt = _check(furnished, models)

    assert spoilt.returncode == 1
    assert spoilt.stderr == f"{weights} has another sha256 than the model lock says\n"


def test_only_files_of_the_lock_reach_the_image(checkout: Path, tmp_path: Path):
    """Weights are code: what nobody approved stays behind."""
    source = checkout / LOCKED[0]["source"]
    (source / "stray.pt").write_bytes(b"anything")

    models = place_models(checkout, tmp_path / "models", seen_at=Path("/opt/models"))

    placed = {
        str(path.relative_to(tmp_path / "models" / LOCKED[0]["name"])) for path in _files(tmp_path / "models")
    }
    assert placed == {name for form in models[0].formats.values() for name in form.files}
    check_models(models, tmp_path / "models")


def test_weights_that_differ_from_the_lock_stop_the_bake(checkout: Path, tmp_path: Path):
    """Better no image than one whose jobs refuse the model."""
    weights = next((checkout / LOCKED[0]["source"]).glob("*.onnx"))
    weights.write_bytes(weights.read_bytes() + b"\0")

    with pytest.raises(BakeFailed, match="another sha256"):
        place_models(checkout, tmp_path / "models", seen_at=Path("/opt/models"))


def test_a_lock_that_points_outside_the_models_folder_stops_the_bake(checkout: Path, tmp_path: Path):
    """A path in a data file must not choose where root writes."""
    lock = checkout / "models" / "models.lock.json"
    document = json.loads(lock.read_text())
    document["models"][0]["formats"]["onnx"]["files"] = {"../../../stolen": "0" * 64}
    lock.write_text(json.dumps(document))

    with pytest.raises(BakeFailed, match="outside the model's folder"):
        place_models(checkout, tmp_path / "models", seen_at=Path("/opt/models"))


def test_models_may_come_from_s3(checkout: Path, tmp_path: Path, s3_client, media_bucket, aws_command):
    """Weights need not lie in the repository: the lock's sha256 says whether what came is what was meant."""
    lock = checkout / "models" / "models.lock.json"
    document = json.loads(lock.read_text())
    source = checkout / document["models"][0]["source"]
    for path in _files(source):
        s3_client.upload_file(str(path), media_bucket, f"models/shapes/{path.relative_to(source)}")
    document["models"][0]["source"] = f"s3://{media_bucket}/models/shapes"
    lock.write_text(json.dumps(document))

    models = place_models(checkout, tmp_path / "models", seen_at=Path("/opt/models"))

    check_models(models, tmp_path / "models")


@pytest.mark.parametrize("source", ["s3://nowhere-at-all/models", "https://127.0.0.1:9/models"])
@pytest.mark.usefixtures("aws_endpoint", "aws_command")
def test_a_source_that_does_not_answer_stops_the_bake(checkout: Path, tmp_path: Path, source: str):
    lock = checkout / "models" / "models.lock.json"
    document = json.loads(lock.read_text())
    document["models"][0]["source"] = source
    lock.write_text(json.dumps(document))

    with pytest.raises(BakeFailed, match=f"^{source}/.* cannot be "):
        place_models(checkout, tmp_path / "models", seen_at=Path("/opt/models"))


def test_a_source_in_s3_without_awss_command_is_told(checkout: Path, tmp_path: Path, monkeypatch):
    """It would read as if the model's file were not there."""
    lock = checkout / "models" / "models.lock.json"
    document = json.loads(lock.read_text())
    document["models"][0]["source"] = "s3://bucket/models"
    lock.write_text(json.dumps(document))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BakeFailed, match="AWS's command line, `aws`, is not installed"):
        place_models(checkout, tmp_path / "models", seen_at=Path("/opt/models"))


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _check(machine: Machine, models: Path) -> subprocess.CompletedProcess[str]:
    manifest = machine.runtime / "manifest.json"
    return subprocess.run(
        [machine.python, "-m", "packer.runtime", "check", "--models", models, "--manifest", manifest],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        | {"LD_LIBRARY_PATH": str(machine.runtime / "lib")},
        capture_output=True,
        text=True,
        check=False,
    )
