from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batch_job.candidates import Keep
from batch_job.errors import ModelUntrusted, OptionUnsuitable, RuntimeMismatch
from contract.manifest import ModelEntry
from tests.batch_job.media import BLUE, GREEN, RED, squares
from tests.batch_job.models import save_colour_network_as_onnx

pytest.importorskip("onnxruntime")
from batch_job import onnx_engine

KEEP = Keep(confidence=0.5)


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    return save_colour_network_as_onnx(tmp_path_factory.mktemp("colours"))


def detector_for(entry: ModelEntry, *, image_size: int | None = None, gpu: bool = False):  # type: ignore[no-untyped-def]
    path = Path(entry.root) / "colours.onnx"
    return onnx_engine.OnnxDetector(path, entry, frame=(96, 160), image_size=image_size, gpu=gpu)


def test_the_network_sees_the_pictures_colours_and_places(entry: ModelEntry) -> None:
    picture = squares((0, 0, RED), (3, 1, GREEN), (4, 2, BLUE))
    ((_, found),) = detector_for(entry).detect(iter([(0, picture)]), KEEP)
    assert found.class_id.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.boxes[:, :2], [[0, 0], [96, 32], [128, 64]], atol=1e-4)


def test_results_come_in_order_with_their_tags(entry: ModelEntry) -> None:
    """Several pictures are computed at once."""
    pictures = ((number % 15, squares((number % 5, number % 15 // 5, RED))) for number in range(60))
    for cell, found in detector_for(entry).detect(pictures, KEEP):
        assert found.boxes[:, :2].tolist() == [[32 * (cell % 5), 32 * (cell // 5)]]


def test_a_network_of_fixed_size_gets_every_frame_into_it(entry: ModelEntry) -> None:
    assert detector_for(entry).letterbox_for((1080, 1920)).canvas == (96, 160)


def test_a_network_of_free_size_gets_an_input_that_fits_the_frames(tmp_path: Path) -> None:
    free = save_colour_network_as_onnx(tmp_path, height="height", width="width")
    assert detector_for(free).letterbox_for((96, 160)).canvas == (96, 160)


def test_a_size_it_does_not_work_at_is_refused(entry: ModelEntry) -> None:
    with pytest.raises(OptionUnsuitable, match="image_size 320"):
        detector_for(entry, image_size=320)


def test_a_network_of_other_classes_is_not_the_approved_one(entry: ModelEntry) -> None:
    with pytest.raises(ModelUntrusted, match=r"outputs of \[7\] rows.* with 2 classes"):
        detector_for(replace(entry, classes=("red", "green")))


def test_a_gpu_is_not_left_idle_without_a_word(entry: ModelEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU machine that computes on its CPU is the dearest way to analyse a video."""
    monkeypatch.setattr(onnx_engine.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(RuntimeMismatch, match="no CUDA provider"):
        detector_for(entry, gpu=True)
