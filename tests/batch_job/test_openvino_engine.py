import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from batch_job.candidates import Candidates, Keep
from batch_job.errors import ModelUntrusted, OptionUnsuitable
from batch_job.openvino_engine import OpenVinoDetector
from batch_job.values import Image
from contract.manifest import ModelEntry
from tests.batch_job.job import ROOT
from tests.batch_job.media import BLUE, GREEN, RED, squares
from tests.batch_job.models import save_colour_network

KEEP = Keep(confidence=0.5)


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    return save_colour_network(tmp_path_factory.mktemp("colours"))


def detector_for(entry: ModelEntry, *, image_size: int | None = None) -> OpenVinoDetector:
    path = Path(entry.root) / "colours.xml"
    return OpenVinoDetector(path, entry, frame=(96, 160), image_size=image_size, precision="f32")


def equal(one: Candidates, other: Candidates) -> bool:
    return (
        np.array_equal(one.boxes, other.boxes)
        and np.array_equal(one.confidence, other.confidence)
        and len(one.boxes) > 0
    )


def test_the_network_sees_the_pictures_colours_and_places(entry: ModelEntry) -> None:
    """Conversion, scaling, channel order and layout are part of the compiled network; this proves all four."""
    picture = squares((0, 0, RED), (3, 1, GREEN), (4, 2, BLUE))
    (_, found), *_ = list(detector_for(entry).detect(iter([(0, picture)]), KEEP))
    assert found.class_id.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.boxes[:, :2], [[0, 0], [96, 32], [128, 64]], atol=1e-4)


def test_results_come_in_order_and_do_not_depend_on_neighbours(entry: ModelEntry) -> None:
    """Several pictures are in flight at once."""
    detector = detector_for(entry)
    random = np.random.default_rng(3)
    pictures: list[Image] = [random.integers(0, 255, (96, 160, 3), np.uint8) for _ in range(20)]
    anything = Keep(confidence=-1.0)
    alone = [found for picture in pictures for _, found in detector.detect(iter([(0, picture)]), anything)]
    together = list(detector.detect(iter(enumerate(pictures)), anything))
    assert [tag for tag, _ in together] == list(range(20))
    assert all(equal(one, other) for one, (_, other) in zip(alone, together, strict=True))


def test_pictures_live_until_their_result_is_there(entry: ModelEntry) -> None:
    """Nobody else keeps them: a picture whose memory went to the next one would get the next one's boxes."""

    def passing() -> Iterator[tuple[int, Image]]:
        for number in range(300):
            yield number % 15, squares((number % 5, number % 15 // 5, RED))

    for cell, found in detector_for(entry).detect(passing(), KEEP):
        assert found.boxes[:, :2].tolist() == [[32 * (cell % 5), 32 * (cell // 5)]]


def test_it_can_be_left_in_the_middle(entry: ModelEntry) -> None:
    """An interrupted job closes the stages while pictures are in flight."""
    detector = detector_for(entry)

    def endless() -> Iterator[tuple[int, Image]]:
        while True:
            yield 0, squares()

    results = detector.detect(endless(), KEEP)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(list(detector.detect(iter([(1, squares())]), KEEP))) == 1
    detector.close()


def test_a_network_of_fixed_size_gets_every_frame_into_it(entry: ModelEntry) -> None:
    assert detector_for(entry).letterbox_for((1080, 1920)).canvas == (96, 160)
    assert detector_for(entry, image_size=160).letterbox_for((96, 160)).canvas == (96, 160)


def test_a_size_it_does_not_work_at_is_refused(entry: ModelEntry) -> None:
    with pytest.raises(OptionUnsuitable, match="image_size 320"):
        detector_for(entry, image_size=320)


def test_a_network_of_other_classes_is_not_the_approved_one(entry: ModelEntry) -> None:
    with pytest.raises(ModelUntrusted):
        detector_for(replace(entry, classes=("red", "green")))


@pytest.mark.parametrize("task", ["segment", "obb", "classify"])
def test_a_network_for_another_task_is_not_the_approved_one(entry: ModelEntry, task: str) -> None:
    """Its output would be read as what it is not."""
    with pytest.raises(ModelUntrusted, match=f"task {task}"):
        detector_for(replace(entry, task=task))


def test_weights_that_are_cut_off_are_told_in_a_sentence(tmp_path: Path) -> None:
    entry = save_colour_network(tmp_path)
    (tmp_path / "colours.bin").write_bytes(b"x")
    with pytest.raises(ModelUntrusted, match="cannot be opened by OpenVINO"):
        detector_for(entry)


def test_nobody_is_told_that_openvino_is_used(tmp_path: Path) -> None:
    """It would tell Google of each import, under an identity kept in the home folder; not where CI is set."""
    code = "import batch_job.openvino_engine, openvino.tools.ovc as ovc; print(type(ovc.telemetry).__module__)"
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout == "openvino.tools.ovc.telemetry_stub\n"
    assert list(tmp_path.iterdir()) == []
