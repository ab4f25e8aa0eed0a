"""The whole job with networks of the tasks beside detection."""

from pathlib import Path

import numpy as np
import pytest

from batch_job.main import main
from contract.exit_codes import EXIT_DONE
from tests.batch_job.job import Bench

pytestmark = pytest.mark.integration

FRAMES = 96
GREEN_BOX = (64.0, 32.0, 96.0, 64.0)
CENTRE = (80.0, 48.0)


def greens(bench: Bench, march: Path, task: str) -> list[tuple]:
    """Rows of the square that stays where it is."""
    request = bench.add_analysis(bench.upload(march), model=f"colours-{task}", thumbnails=2)
    assert main(bench.environment(request)) == EXIT_DONE
    assert len(bench.analysis(request)["summary"]["thumbnails"]) == 2
    return [row for row in bench.rows(request)["detections"] if row[3] == 1]


def test_segmentation_stores_outlines_and_tracks(bench: Bench, march: Path) -> None:
    """As a process of its own, with nothing but a container's environment."""
    request = bench.add_analysis(bench.upload(march), model="colours-segment", thumbnails=2)
    code, log = bench.run(request)
    assert code == EXIT_DONE, log
    green = [row for row in bench.rows(request)["detections"] if row[3] == 1]
    assert [row[0] for row in green] == list(range(FRAMES))
    assert {row[4] for row in green} == {green[0][4]}  # one object, one track
    for *_, x1, y1, x2, y2, shape in green:
        assert (x1, y1, x2, y2) == GREEN_BOX
        # The outline runs through the centres of the outermost pixels.
        assert set(zip(shape[0::2], shape[1::2], strict=True)) == {(64, 32), (95, 32), (95, 63), (64, 63)}


def test_poses_store_every_key_point(bench: Bench, march: Path) -> None:
    rows = greens(bench, march, "pose")
    assert len(rows) == FRAMES
    for row in rows:
        assert row[6:10] == GREEN_BOX
        assert row[10] == pytest.approx([*CENTRE, row[5], 64, 32, 0.1])
        assert row[4] is not None


def test_oriented_boxes_store_their_turn_and_their_hull(bench: Bench, march: Path) -> None:
    """A square that is turned by an eighth has a hull as wide as its diagonal."""
    rows = greens(bench, march, "obb")
    assert len(rows) == FRAMES
    half = 16 * np.sqrt(2)
    for row in rows:
        assert row[10] == pytest.approx([*CENTRE, 32, 32, np.pi / 4])
        assert row[6:10] == pytest.approx((80 - half, 48 - half, 80 + half, 48 + half), abs=1e-4)
        assert row[4] is not None


def test_classes_are_rows_of_the_whole_frame_and_no_tracks(bench: Bench, march: Path) -> None:
    """Although the request asks for tracks: every request does."""
    request = bench.add_analysis(
        bench.upload(march), model="colours-classify", confidence=0.01, every_nth=8, track=True
    )
    assert main(bench.environment(request)) == EXIT_DONE
    stored = bench.rows(request)
    assert stored["tracks"] == []
    assert [row[:2] for row in stored["detections"]] == [
        (n, place) for n in range(FRAMES // 8) for place in range(3)
    ]
    assert sum(row[5] for row in stored["detections"]) == pytest.approx(FRAMES // 8)
    for row in stored["detections"]:
        assert row[4] is None
        assert row[6:] == (0, 0, 160, 96, None)


def test_only_classes_that_were_asked_for_are_given(bench: Bench, march: Path) -> None:
    request = bench.add_analysis(
        bench.upload(march), model="colours-segment", every_nth=8, classes=("blue",), thumbnails=0
    )
    assert main(bench.environment(request)) == EXIT_DONE
    assert {row[3] for row in bench.rows(request)["detections"]} == {2}
