"""What is made of all detections when an analysis ends: tracks with their paths, and counts per second."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from batch_job.claim import Claim, Token
from batch_job.database import Database
from batch_job.folder import FolderResults
from batch_job.models import TrustedModel
from batch_job.store import Store
from batch_job.values import Chunk, Detections, FrameResult
from contract.manifest import ModelEntry
from contract.messages import AnalysisRequest
from contract.results import PATH_POINTS
from tests.batch_job.job import add_analysis, result_rows
from tests.batch_job.stored import REPORT, SUMMARY

MODEL = ModelEntry(
    name="colours", task="detect", classes=("a", "b", "c"), input_size=(96, 160), stride=32, root="", formats={}
)

Box = tuple[int, int, float]  # class, track or 0, left edge; each is 10 pixels wide and 20 high, its top at 0
Seen = Sequence[tuple[int, Sequence[Box]]]  # frames: time in microseconds, boxes
Made = Callable[[Seen], dict[str, list[Any]]]

every_second = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
boxes = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.just(0.0)), max_size=5)
streams = st.lists(st.tuples(st.integers(-3_000_000, 3_000_000), boxes), min_size=1, max_size=12)


def chunk_of(frames: Seen) -> Chunk:
    return Chunk(
        number=0,
        frames=tuple(
            FrameResult(
                index=index,
                pts_us=pts_us,
                detections=Detections(
                    boxes=np.array([(x, 0, x + 10, 20) for *_, x in boxes], np.float32).reshape(-1, 4),
                    confidence=np.full(len(boxes), 0.5, np.float32),
                    class_id=np.array([class_id for class_id, *_ in boxes], np.int16),
                ),
                track_id=np.array([track_id for _, track_id, _ in boxes], np.int32),
            )
            for index, (pts_us, boxes) in enumerate(frames)
        ),
    )


@pytest.fixture(params=["PostgreSQL", "folder"])
def made(request: pytest.FixtureRequest) -> Made:
    """What is left of an analysis that saw these frames, by the name of its table."""
    made: Made = request.getfixturevalue({"PostgreSQL": "in_postgresql", "folder": "in_folder"}[request.param])
    return made


@pytest.fixture
def in_folder(tmp_path: Path) -> Made:
    def make(frames: Seen) -> dict[str, list[Any]]:
        with TemporaryDirectory(dir=tmp_path) as folder:
            results = FolderResults(
                Path(folder),
                scratch=Path(folder),
                request=AnalysisRequest(analysis_id=UUID(int=1), video_key="x", model="colours"),
                trusted=TrustedModel(model=MODEL, engine="openvino", entry=Path(), wanted_classes=None),
                precision="f32",
                exports=(),
                tell=lambda *_: None,
            )
            with closing(results):
                results.write_chunk(chunk_of(frames), frames_total=None)
                results.finish(summary=SUMMARY, report=REPORT, seconds={})
            read = {
                name: json.loads((Path(folder) / f"{name}.json").read_text()) for name in ("tracks", "seconds")
            }
        return {
            name: [
                tuple(value for key, value in row.items() if key not in ("class", "duration_us")) for row in rows
            ]
            for name, rows in read.items()
        }

    return make


@pytest.fixture
def in_postgresql(database_url: str) -> Iterator[Made]:
    database = Database(database_url, patience_seconds=5)

    def make(frames: Seen) -> dict[str, list[Any]]:
        request = AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/x", model="colours")
        add_analysis(database_url, request)
        claim = Claim(database, Token(analysis_id=request.analysis_id, job_id="job-1", attempt=1))
        claim.take()
        store = Store(database, claim)
        store.write_chunk(chunk_of(frames), frames_total=None)
        store.finish(summary=SUMMARY, report=REPORT, seconds={})
        return result_rows(database_url, request.analysis_id)

    yield make
    database.close()


def counted(frames: Seen) -> list[tuple[int, ...]]:
    """The definition of a second's row, word for word."""
    in_frame: dict[tuple[int, int], list[int]] = defaultdict(list)
    tracks: dict[tuple[int, int], set[int]] = defaultdict(set)
    for pts_us, boxes in frames:
        second = pts_us // 1_000_000
        for class_id, many in Counter(class_id for class_id, *_ in boxes).items():
            in_frame[second, class_id].append(many)
        for class_id, track_id, _ in boxes:
            tracks[second, class_id] |= {track_id} - {0}
    return [(*key, sum(many), max(many), len(tracks[key])) for key, many in sorted(in_frame.items())]


@given(streams)
@example([(-1, [(0, 1, 0.0)]), (0, [(0, 1, 0.0)]), (999_999, [(0, 2, 0.0)] * 2), (1_000_000, [(0, 0, 0.0)])])
@every_second
def test_each_second_of_each_class_is_counted(made: Made, frames: Seen) -> None:
    """A chart reads these instead of millions of boxes. Clocks may begin before zero, and step back."""
    untracked = [(pts_us, [(class_id, 0, x) for class_id, _, x in boxes]) for pts_us, boxes in frames]
    assert made(untracked)["seconds"] == counted(untracked)


@given(st.lists(st.lists(st.sampled_from([1, 2, 3]), unique=True, max_size=3), min_size=1, max_size=12))
@every_second
def test_a_track_counts_once_in_each_second_it_is_seen_in(made: Made, seen: list[list[int]]) -> None:
    frames = [(400_000 * n, [(track % 2, track, 0.0) for track in tracks]) for n, tracks in enumerate(seen)]
    assert made(frames)["seconds"] == counted(frames)


@pytest.mark.parametrize("many", [1, 2, 63, 64, 65, 66, 127, 128, 1000])
def test_a_path_goes_from_the_first_place_to_the_last_in_even_steps(made: Made, many: int) -> None:
    """The track is missing in every fifth frame, and another one is beside it."""
    frames: list[tuple[int, list[Box]]] = []
    while sum(len(boxes) == 2 for _, boxes in frames) < many:
        n = len(frames)
        frames.append((40_000 * n + 7, [(0, 2, 0.0)] if n % 5 == 4 else [(1, 1, 3.3 * n), (0, 2, 0.0)]))
    places = [n for n, (_, boxes) in enumerate(frames) if len(boxes) == 2]

    path = made(frames)["tracks"][0][-1]

    assert len(path) == min(many, PATH_POINTS)
    at = [places.index((pts_us - 7) // 40_000) for pts_us, _, _ in path]
    assert (at[0], at[-1]) == (0, many - 1)
    assert len(at) < 2 or max(np.diff(at)) - min(np.diff(at)) <= 1
    for pts_us, x, y in path:
        assert (x, y) == (pytest.approx(3.3 * (pts_us - 7) / 40_000 + 5, abs=0.006), 10)
        assert len(json.dumps(x).partition(".")[2]) <= 2
