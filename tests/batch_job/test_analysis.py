"""The story, with a network that finds what the test tells it to and a store in memory."""

from pathlib import Path
from uuid import UUID

import pytest

from batch_job.analysis import Analysis
from batch_job.errors import ClaimLost, Interrupted, VideoWithoutFrames
from batch_job.pipeline import Stopwatch
from batch_job.stages import Model
from batch_job.thumbnails import plain_jpeg
from contract.messages import AnalysisRequest
from contract.options import AnalysisOptions
from contract.statuses import Stage
from tests.fakes import CLASSES, FakeDetector, FakePictures, FakeResults, FakeVideo


def analysis(
    results: FakeResults,
    *,
    frames: int = 50,
    detector: FakeDetector | None = None,
    pictures: FakePictures | None = None,
    chunk_frames: int = 8,
    wanted: tuple[int, ...] | None = None,
    task: str = "detect",
    halt: object = lambda: None,
    scratch: Path = Path(),
    **options: object,
) -> Analysis:
    return Analysis(
        request=AnalysisRequest(
            analysis_id=UUID(int=1),
            video_key="x",
            model="fake",
            options=AnalysisOptions(**({"thumbnails": 0} | options)),  # type: ignore[arg-type]
        ),
        model=Model(task=task, classes=CLASSES, wanted=wanted),
        video=FakeVideo(frames),
        detector=detector or FakeDetector(),
        results=results,
        pictures=pictures or FakePictures(),
        watch=Stopwatch(),
        chunk_frames=chunk_frames,
        scratch=scratch,
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


def test_classes_of_whole_frames_are_not_tracked() -> None:
    """Every request asks for tracks unless it says otherwise, and a class is no object that moves."""
    summary = analysis(FakeResults(), task="classify", track=True).run()
    assert (summary.detections, summary.tracks) == (90, 0)


def test_a_video_without_frames_is_an_error() -> None:
    with pytest.raises(VideoWithoutFrames):
        analysis(FakeResults(), frames=0).run()


def test_thumbnails_show_frames_from_all_over_the_video() -> None:
    pictures = FakePictures()
    summary = analysis(FakeResults(), pictures=pictures, thumbnails=5).run()
    assert [thumbnail.frame_index for thumbnail in summary.thumbnails] == [5, 15, 25, 35, 45]
    assert set(pictures.jpegs) == {thumbnail.key for thumbnail in summary.thumbnails} | {summary.poster}
    assert all(jpeg.startswith(b"\xff\xd8") for jpeg in pictures.jpegs.values())


def test_the_poster_is_the_bare_frame_a_tenth_in() -> None:
    """Also without thumbnails: a list of analyses shows it."""
    pictures = FakePictures()
    summary = analysis(FakeResults(), frames=200, pictures=pictures).run()
    assert summary.poster is not None
    assert summary.poster.endswith(".jpg")
    assert pictures.jpegs == {summary.poster: plain_jpeg(FakeVideo(200).picture(20))}


def test_an_annotated_video_is_made_where_it_is_asked_for(tmp_path: Path) -> None:
    results, pictures = FakeResults(), FakePictures()
    summary = analysis(results, pictures=pictures, scratch=tmp_path, annotated_video=True).run()
    assert results.stages == [Stage.ANALYSING, Stage.FINISHING, Stage.DRAWING]
    assert list(pictures.videos) == [summary.annotated_video]
    assert "annotated video" in results.seconds
    assert list(tmp_path.iterdir()) == []


def test_a_request_to_stop_is_heard_while_the_video_is_drawn(tmp_path: Path) -> None:
    """It may take as long as the analysis, and Spot gives two minutes."""
    results, pictures = FakeResults(), FakePictures()

    def halt() -> None:
        if Stage.DRAWING in results.stages:
            raise Interrupted

    with pytest.raises(Interrupted):
        analysis(results, pictures=pictures, scratch=tmp_path, halt=halt, annotated_video=True).run()
    assert pictures.videos == {}
    assert results.summary is None
