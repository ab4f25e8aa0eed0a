"""Weights are code: a file that is not the lock's must never be opened."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

from batch_job.model_files import ModelUnusable, describe
from contract.exit_codes import EXIT_GIVE_UP
from contract.manifest import RuntimeManifest
from local.runtime import locked_models, write_manifest
from tests.batch_job.job import Bench

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("ultralytics_installed")]


class Plant:
    """Leaves its trace when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def planted(bench: Bench, tmp_path: Path) -> tuple[Path, Path]:
    """A manifest whose checkpoint was replaced, and the trace that the new one would leave."""
    (model, *_) = locked_models()
    root = tmp_path / "models"
    shutil.copytree(model.root, root)
    trace = tmp_path / "trace"
    for name in (model.formats["torch"].entry, "stray.pt"):
        (root / name).write_bytes(pickle.dumps(Plant(trace)))
    path = tmp_path / "manifest.json"
    write_manifest(path, ())
    document = json.loads(path.read_text())
    document["engines"] = ["torch"]
    document["models"][0]["root"] = str(root)
    path.write_text(json.dumps(document))
    assert RuntimeManifest.from_json(path.read_text())
    return path, trace


def test_the_plant_would_leave_its_trace(planted: tuple[Path, Path], tmp_path: Path) -> None:
    """Or the test below could not fail: ultralytics opens the file as any checkpoint."""
    _, trace = planted
    with pytest.raises(ModelUnusable):
        describe(tmp_path / "models" / "stray.pt")

    assert trace.exists()


@pytest.mark.parametrize(
    ("model", "code"),
    [
        pytest.param("demo-shapes", "model_untrusted", id="in the place of a locked file"),
        pytest.param("stray", "model_unknown", id="beside the locked files"),
        pytest.param("stray.pt", "model_unknown", id="named as a file"),
    ],
)
def test_weights_that_are_not_the_locks_are_never_unpickled(
    bench: Bench, planted: tuple[Path, Path], model: str, code: str
) -> None:
    manifest, trace = planted
    request = bench.add_analysis("uploads/1/never-uploaded", model=model)

    exit_code, log = bench.run(request, RUNTIME_MANIFEST=str(manifest), ENGINE="torch")

    assert exit_code == EXIT_GIVE_UP, log
    assert bench.analysis(request)["error_code"] == code
    assert not trace.exists()
