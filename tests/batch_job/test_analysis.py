"""The story, with a network that finds what the test tells it to and a store in memory."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import pytest

from batch_job.analysis import Analysis, Model
from batch_job.detector import Tag
from batch_job.errors import ClaimLost, Interrupted, VideoWithoutFrames
from batch_job.letterbox import Letterbox, Shape
from batch_job.pipeline import Stopwatch
from batch_job.values import Chunk, Floats, Frame, FrameResult, Image
from contract.messages import AnalysisRequest
from contract.options import AnalysisOptions
from contract.results import DecodeReport, Summary
from contract.statuses import Stage

SIZE = (64, 64)
CLASSES = ("cat", "dog")


class FakeVideo:
    """Frames whose first pixel says which one they are."""

    def __init__(self, frames: int) -> None:
        self.count = frames

    def expected_frames(self, options: AnalysisOptions) -> int | None:
        return self.count

    def frames(self, options: AnalysisOptions, *, start: int = 0) -> Iterator[Frame]:
        for index in range(start, self.count):
            yield Frame(index=index, pts_us=33_333 * index, image=self._picture(index))

    def pictures_at(self, times_us: Iterable[int]) -> Iterator[tuple[int, Image]]:
        for time in sorted(times_us):
            yield time, self._picture(time // 33_333)

    def report(self) -> DecodeReport:
        return DecodeReport(
            container="fake",
            codec="fake",
            width=64,
            height=64,
            rotation_degrees=0,
            mirrored=False,
            time_base="1/1000",
            declared_frames=None,
            decoded_frames=self.count,
            analysed_frames=self.count,
            skipped=(),
            first_pts_us=0,
            last_pts_us=0,
        )

    def whereabouts(self) -> str:
        return "fake"

    def _picture(self, index: int) -> Image:
        picture = np.zeros((*SIZE, 3), np.uint8)
        picture[0, 0] = index % 256, index // 256, 0
        return picture


class FakeDetector:
    """A cat that walks to the right and a dog that comes and goes; `broken_at` is the frame at which it fails."""

    capacity = 2

    def __init__(self, *, broken_at: int | None = None) -> None:
        self.broken_at = broken_at
        self.seen: list[int] = []

    def letterbox_for(self, frame: Shape) -> Letterbox:
        return Letterbox.inside(frame, SIZE)

    def detect(self, pictures: Iterator[tuple[Tag, Image]]) -> Iterator[tuple[Tag, Floats]]:
        for tag, picture in pictures:
            index = int(picture[0, 0, 0]) + 256 * int(picture[0, 0, 1])
            if index == self.broken_at:
                raise MemoryError("broken")
            self.seen.append(index)
            yield tag, self._output(index)

    def close(self) -> None: ...

    @staticmethod
    def _output(index: int) -> Floats:
        cat = [10 + 0.2 * index, 20, 12, 12, 0.9 - 0.001 * (index % 7), 0.0]
        dog = [40, 40, 16, 16, 0.0, 0.6 if index % 20 < 15 else 0.05]
        return np.array([cat, dog], np.float32).T


@dataclass
class FakeResults:
    """Keeps what is written; `lost_after` chunks another container takes the analysis over."""

    kept: list[Chunk] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    summary: Summary | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    lost_after: int | None = None

    def enter(self, stage: Stage) -> None:
        self.stages.append(stage)

    def chunks(self) -> Iterator[Chunk]:
        return iter(list(self.kept))

    def write_chunk(self, chunk: Chunk, *, frames_total: int | None) -> None:
        if len(self.kept) == self.lost_after:
            raise ClaimLost
        self.kept.append(chunk)

    def counts(self) -> dict[int, tuple[int, int]]:
        rows = [
            (int(class_id), int(track))
            for frame in self.frames()
            for class_id, track in zip(frame.detections.class_id, frame.track_id, strict=True)
        ]
        return {
            class_id: (
                sum(one == class_id for one, _ in rows),
                len({t for one, t in rows if one == class_id and t}),
            )
            for class_id in sorted({one for one, _ in rows})
        }

    def frame(self, index: int) -> FrameResult:
        return self.frames()[index]

    def finish(self, *, summary: Summary, report: DecodeReport, seconds: Mapping[str, float]) -> None:
        self.summary, self.seconds = summary, seconds

    def frames(self) -> list[FrameResult]:
        return [frame for chunk in self.kept for frame in chunk.frames]

    def rows(self) -> list[tuple[object, ...]]:
        return [
            (frame.index, frame.pts_us, frame.detections.boxes.tobytes(), frame.track_id.tolist())
            for frame in self.frames()
        ]


class FakePictures:
    def __init__(self) -> None:
        self.jpegs: dict[str, bytes] = {}

    def put_jpeg(self, key: str, jpeg: bytes) -> None:
        self.jpegs[key] = jpeg


def analysis(
    results: FakeResults,
    *,
    frames: int = 50,
    detector: FakeDetector | None = None,
    pictures: FakePictures | None = None,
    chunk_frames: int = 8,
    wanted: tuple[int, ...] | None = None,
    halt: object = lambda: None,
    **options: object,
) -> Analysis:
    return Analysis(
        request=AnalysisRequest(
            analysis_id=UUID(int=1),
            video_key="x",
            model="fake",
            options=AnalysisOptions(**({"thumbnails": 0} | options)),  # type: ignore[arg-type]
        ),
        model=Model(classes=CLASSES, wanted=wanted),
        video=FakeVideo(frames),
        detector=detector or FakeDetector(),
        results=results,
        pictures=pictures or FakePictures(),
        watch=Stopwatch(),
        chunk_frames=chunk_frames,
        halt=halt,  # type: ignore[arg-type]
    )


def undisturbed(frames: int = 50) -> list[tuple[object, ...]]:
    results = FakeResults()
    analysis(results, frames=frames).run()
    return results.rows()


def test_every_frame_is_stored_in_order_with_its_time_and_boxes() -> None:
    results = FakeResults()
    summary = analysis(results).run()
    assert [(frame.index, frame.pts_us) for frame in results.frames()] == [(n, 33_333 * n) for n in range(50)]
    assert [(chunk.number, len(chunk.frames)) for chunk in results.kept] == [*((n, 8) for n in range(6)), (6, 2)]
    assert results.stages == [Stage.ANALYSING, Stage.FINISHING]
    assert summary == results.summary
    assert (summary.frames, summary.detections) == (50, 90)
    assert {name: (count.detections, count.tracks) for name, count in summary.per_class.items()} == {
        "cat": (50, 1),
        "dog": (40, 1),
    }


def test_seconds_are_told_for_every_stage() -> None:
    results = FakeResults()
    analysis(results).run()
    stages = {"decode", "preprocess", "detect", "postprocess", "track", "store", "thumbnails", "total"}
    assert set(results.seconds) == stages


@pytest.mark.parametrize("broken_at", [1, 8, 20, 47])
def test_an_attempt_that_died_is_taken_up_where_it_stopped(broken_at: int) -> None:
    """The rows are those of an undisturbed run, and what was stored is not computed again."""
    results = FakeResults()
    with pytest.raises(MemoryError):
        analysis(results, detector=FakeDetector(broken_at=broken_at)).run()
    stored = 8 * (broken_at // 8)
    assert len(results.frames()) == stored
    second = FakeDetector()
    analysis(results, detector=second, chunk_frames=5).run()
    assert second.seen == list(range(stored, 50))
    assert results.rows() == undisturbed()


def test_an_attempt_that_died_before_its_last_word_only_says_it() -> None:
    results = FakeResults()
    analysis(results).run()
    results.summary = None
    detector = FakeDetector()
    summary = analysis(results, detector=detector).run()
    assert detector.seen == []
    assert summary.frames == 50


def test_a_lost_claim_stops_everything() -> None:
    results = FakeResults(lost_after=2)
    with pytest.raises(ClaimLost):
        analysis(results, frames=5000).run()
    assert len(results.kept) == 2
    assert results.summary is None


def test_a_request_to_stop_is_heard_between_frames() -> None:
    """And what is committed stays."""
    results = FakeResults()

    def halt() -> None:
        if len(results.kept) == 3:
            raise Interrupted

    with pytest.raises(Interrupted):
        analysis(results, frames=5000, halt=halt).run()
    assert len(results.kept) == 3


def test_only_classes_that_were_asked_for_are_stored() -> None:
    results = FakeResults()
    summary = analysis(results, wanted=(1,)).run()
    assert set(summary.per_class) == {"dog"}


def test_without_tracking_no_detection_has_a_track() -> None:
    results = FakeResults()
    summary = analysis(results, track=False).run()
    assert summary.tracks == 0
    assert summary.detections == 90


def test_a_video_without_frames_is_an_error() -> None:
    with pytest.raises(VideoWithoutFrames):
        analysis(FakeResults(), frames=0).run()


def test_thumbnails_show_frames_from_all_over_the_video() -> None:
    pictures = FakePictures()
    summary = analysis(FakeResults(), pictures=pictures, thumbnails=5).run()
    assert [thumbnail.frame_index for thumbnail in summary.thumbnails] == [5, 15, 25, 35, 45]
    assert list(pictures.jpegs) == [thumbnail.key for thumbnail in summary.thumbnails]
    assert all(jpeg.startswith(b"\xff\xd8") for jpeg in pictures.jpegs.values())
