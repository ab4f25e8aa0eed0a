import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_job import engines
from batch_job.detector import Detector
from batch_job.engines import batch_size, detector_for, has_gpu, preference
from batch_job.errors import RuntimeMismatch
from batch_job.models import TrustedModel, trusted_model
from contract.manifest import ModelEntry
from contract.options import AnalysisOptions
from tests.batch_job.models import manifest_of, model_entry, save_colour_network


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_loaded", type(engines._loaded)())


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    return save_colour_network(tmp_path_factory.mktemp("colours"))


def load(
    model: TrustedModel,
    scratch: Path,
    *,
    frame: tuple[int, int] = (96, 160),
    precision: str = "f32",
    chunk_frames: int = 128,
) -> Detector[Any]:
    return detector_for(
        model, frame=frame, image_size=None, precision=precision, chunk_frames=chunk_frames, scratch=scratch
    )


def trusted(entry: ModelEntry) -> TrustedModel:
    return trusted_model(manifest_of(entry), "colours", AnalysisOptions())


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: False)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: True)


def test_a_gpu_is_seen_by_its_device_file(tmp_path: Path) -> None:
    """The container runtime of NVIDIA mounts one per GPU; other files of that name are no GPU."""
    for name in ("null", "nvidiactl", "nvidia-uvm", "nvidia-modeset"):
        (tmp_path / name).touch()
    assert not has_gpu(tmp_path)
    with_one = tmp_path / "dev"
    with_one.mkdir()
    (with_one / "nvidia0").touch()
    assert has_gpu(with_one)


def test_the_fastest_engine_of_the_machine_comes_first() -> None:
    """And a machine without a GPU never tries what only runs on one."""
    assert preference(gpu=True, precision="native")[:2] == ("tensorrt", "torch")
    assert preference(gpu=True, precision="f32")[0] == "torch"
    assert "tensorrt" not in preference(gpu=True, precision="f32")
    on_cpu = preference(gpu=False, precision="native")
    assert on_cpu == ("ncnn", "openvino", "onnx", "torch")


@given(chunk_frames=st.integers(1, 1000), most=st.integers(1, 64))
def test_every_chunk_begins_with_a_batch(chunk_frames: int, most: int) -> None:
    """A resumed analysis begins at a chunk, and so has the same pictures in every batch."""
    batch = batch_size(chunk_frames=chunk_frames, most=most)
    assert 1 <= batch <= most
    assert chunk_frames % batch == 0


def test_a_model_is_loaded_once_for_the_analyses_of_a_process(
    entry: ModelEntry, without_gpu: None, tmp_path: Path
) -> None:
    """A process that stays warm pays for loading and compiling once."""
    first = load(trusted(entry), tmp_path)
    assert load(trusted(entry), tmp_path) is first


@pytest.mark.parametrize("change", [{"precision": "native"}, {"chunk_frames": 4}, {"frame": (480, 640)}])
def test_what_changes_the_result_is_loaded_anew(
    entry: ModelEntry, without_gpu: None, tmp_path: Path, change: dict[str, Any]
) -> None:
    first = load(trusted(entry), tmp_path)
    assert load(trusted(entry), tmp_path, **change) is not first


def test_other_weights_under_the_same_name_are_another_model(
    entry: ModelEntry, without_gpu: None, tmp_path: Path
) -> None:
    """A machine image was replaced under a process, say."""
    first = load(trusted(entry), tmp_path)
    other = save_colour_network(tmp_path / "other", width=320)
    assert load(trusted(other), tmp_path) is not first


def test_only_a_few_models_stay_loaded(
    entry: ModelEntry, without_gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory must not grow with the number of analyses; the one that was not used for longest goes."""
    closed: list[object] = []
    monkeypatch.setattr("batch_job.openvino_engine.OpenVinoDetector.close", lambda self: closed.append(self))
    first, second = (load(trusted(entry), tmp_path, frame=(96, width)) for width in (160, 320))
    load(trusted(entry), tmp_path)
    load(trusted(entry), tmp_path, frame=(96, 480))
    assert closed == [second]
    assert load(trusted(entry), tmp_path) is first


@pytest.fixture
def torch_model(tmp_path: Path) -> TrustedModel:
    (tmp_path / "network.pt").write_bytes(b"weights")
    entry = model_entry(tmp_path, name="colours", classes=("cat",), size=(96, 160), entry="network.pt")
    return trusted(entry)


def test_a_library_the_machine_lacks_is_named(
    torch_model: TrustedModel,
    without_gpu: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The machine image is at fault, and running the same request again would not help."""
    monkeypatch.setitem(sys.modules, "ultralytics.nn.tasks", None)
    with pytest.raises(RuntimeMismatch, match=r"ultralytics\.nn\.tasks cannot be imported"):
        load(torch_model, tmp_path)


@pytest.mark.torch
def test_a_gpu_that_torch_cannot_use_is_told(
    torch_model: TrustedModel, with_gpu: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An old driver, say. To go on on the CPU would hide it and cost many times as much."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeMismatch, match="torch finds no GPU"):
        load(torch_model, tmp_path)


def test_tensorrt_is_not_taken_for_f32(with_gpu: None, tmp_path: Path) -> None:
    """Its precision was chosen when its file was built."""
    (tmp_path / "colours.engine").write_bytes(b"engine")
    entry = model_entry(tmp_path, name="colours", classes=("cat",), size=(96, 160), entry="colours.engine")
    chosen = trusted_model(manifest_of(entry), "colours", AnalysisOptions(), engine="tensorrt")
    with pytest.raises(RuntimeMismatch, match="PRECISION=native"):
        load(chosen, tmp_path)
