from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from batch_job.candidates import Candidates, Keep
from batch_job.errors import ModelUntrusted
from batch_job.ncnn_engine import NcnnDetector
from batch_job.torch_engine import TorchDetector
from batch_job.values import Image
from batch_job.video import Video
from contract.manifest import ModelEntry
from contract.options import AnalysisOptions
from tests.batch_job.models import model_entry

KEEP = Keep(confidence=0.25)
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def entry(checkpoint: Path, ncnn_export: Path) -> ModelEntry:
    names = tuple(str(number) for number in range(80))
    layers = f"{checkpoint.stem}.ncnn.param"
    return model_entry(ncnn_export, name="yolov8n", classes=names, size=(640, 640), entry=layers)


@pytest.fixture
def detector(entry: ModelEntry) -> Iterator[NcnnDetector]:
    detector = detector_for(entry)
    yield detector
    detector.close()


@pytest.fixture(scope="module")
def images(videos: Path) -> list[Image]:
    with Video(videos / "car-detection.mp4") as video:
        return [frame.image for frame in islice(video.frames(AnalysisOptions(every_nth=25)), 6)]


def detector_for(entry: ModelEntry) -> NcnnDetector:
    path = Path(entry.root) / entry.formats["ncnn"].entry
    return NcnnDetector(path, entry, image_size=None, precision="f32")


def found_by(detector: NcnnDetector | TorchDetector, images: list[Image]) -> list[Candidates]:
    letterbox = detector.letterbox_for((images[0].shape[0], images[0].shape[1]))
    pictures = ((number, detector.prepare(image, letterbox)) for number, image in enumerate(images))
    return [found for _, found in detector.detect(pictures, KEEP)]


def test_it_finds_what_the_reference_finds(
    detector: NcnnDetector, checkpoint: Path, images: list[Image], tmp_path: Path
) -> None:
    """The checkpoint's own network in torch; Winograd's algorithm rounds otherwise, in the fifth digit."""
    from ultralytics.nn.tasks import load_checkpoint

    names = tuple(load_checkpoint(str(checkpoint))[0].names.values())
    own = model_entry(checkpoint.parent, name="y", classes=names, size=(640, 640), entry=checkpoint.name)
    reference = TorchDetector(checkpoint, own, image_size=None, scratch_dir=tmp_path)
    boxes = 0
    for ours, theirs in zip(found_by(detector, images), found_by(reference, images), strict=True):
        assert ours.class_id.tolist() == theirs.class_id.tolist()
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=1e-2)
        np.testing.assert_allclose(ours.confidence, theirs.confidence, atol=1e-4)
        boxes += len(ours.boxes)
    assert boxes >= 20


def test_results_come_in_order_and_do_not_depend_on_neighbours(
    detector: NcnnDetector, images: list[Image]
) -> None:
    """Several pictures are at work at once; a retried analysis must give the same rows to the last bit."""
    together = found_by(detector, images * 4)
    alone = [found_by(detector, [image])[0] for image in images]
    for number, found in enumerate(together):
        np.testing.assert_array_equal(found.boxes, alone[number % len(images)].boxes)
        np.testing.assert_array_equal(found.confidence, alone[number % len(images)].confidence)


def test_one_network_takes_frames_of_every_shape(detector: NcnnDetector, images: list[Image]) -> None:
    upright: list[Image] = [np.ascontiguousarray(np.rot90(image)) for image in images]
    assert detector.letterbox_for(upright[0].shape[:2]).canvas == (640, 384)  # type: ignore[arg-type]
    assert len(found_by(detector, upright)) == len(images)


def test_it_can_be_left_in_the_middle(detector: NcnnDetector, images: list[Image]) -> None:
    """An interrupted job closes the stages while pictures are at work."""
    canvas = detector.letterbox_for((images[0].shape[0], images[0].shape[1])).place(images[0])

    def endless() -> Iterator[tuple[int, Image]]:
        while True:
            yield 0, canvas

    results = detector.detect(endless(), KEEP)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(found_by(detector, images[:1])) == 1


def test_a_network_of_other_classes_is_not_the_approved_one(entry: ModelEntry) -> None:
    with pytest.raises(ModelUntrusted, match="classes"):
        detector_for(replace(entry, classes=("red", "green")))


def test_a_file_that_is_no_network_is_refused(entry: ModelEntry, tmp_path: Path) -> None:
    (tmp_path / "x.ncnn.param").write_text("7767517\n1 1\nNoSuchLayer a 0 1 b\n")
    (tmp_path / "x.ncnn.bin").write_bytes(b"")
    with pytest.raises(ModelUntrusted, match="cannot be opened"):
        NcnnDetector(tmp_path / "x.ncnn.param", entry, image_size=None, precision="f32")
