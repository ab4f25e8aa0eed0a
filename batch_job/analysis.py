"""The story: a video's frames become detections, detections become tracks, and both are stored chunk by chunk."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from batch_job.annotated_video import with_boxes, write_mp4
from batch_job.detector import Detector
from batch_job.errors import VideoWithoutFrames
from batch_job.pipeline import Item, Stopwatch
from batch_job.stages import Model, results_of, track_ids
from batch_job.thumbnails import annotated_jpeg, evenly_spaced, plain_jpeg, poster_frame
from batch_job.tracker import Tracker
from batch_job.values import Chunk, Frame, FrameResult, Image
from contract.keys import annotated_video_key, poster_key, thumbnail_key
from contract.manifest import TRACKED_TASKS
from contract.messages import AnalysisRequest
from contract.options import AnalysisOptions
from contract.results import ClassCount, DecodeReport, Summary, Thumbnail
from contract.statuses import Stage as Doing

logger = logging.getLogger(__name__)


class Source(Protocol):
    """An opened video."""

    def expected_frames(self, options: AnalysisOptions) -> int | None: ...
    def exact_frames(self, options: AnalysisOptions) -> int | None: ...
    def frames(self, options: AnalysisOptions, *, start: int = 0, after_us: int | None = None) -> Iterator[Frame]:
        """Analysed frames from index `start` on; the same frames each time the same video is opened."""

    def share(self, options: AnalysisOptions, *, start: int, stop: int) -> Iterator[Frame]:
        """Analysed frames from index `start` to before `stop`. Raises OutOfStep where that cannot be had."""

    def shared_out(self, options: AnalysisOptions) -> None: ...
    def damaged(self) -> bool: ...

    def pictures_at(self, times_us: Iterable[int]) -> Iterator[tuple[int, Image]]: ...
    def all_frames(self) -> Generator[Frame, None, None]: ...
    def report(self) -> DecodeReport: ...
    def whereabouts(self) -> str: ...


class Results(Protocol):
    """Where one analysis is stored. A chunk that was written is there for ever, whole."""

    def enter(self, stage: Doing) -> None: ...
    def chunks(self) -> Iterator[Chunk]:
        """What earlier attempts have stored, from the first chunk on and without a gap."""

    def write_chunk(self, chunk: Chunk, *, frames_total: int | None) -> int:
        """Returns how many chunks are stored then."""

    def counts(self) -> dict[int, tuple[int, int]]:
        """Class id -> detections and tracks."""

    def frame(self, index: int) -> FrameResult: ...
    def finish(self, *, summary: Summary, report: DecodeReport, seconds: Mapping[str, float]) -> None: ...


class Pictures(Protocol):
    """Where pictures and videos go. What is put again under the same key replaces what was there."""

    def put_jpeg(self, key: str, jpeg: bytes) -> None: ...
    def put_video(self, key: str, path: Path) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Analysis:
    """Everything one analysis works with. `halt` is called often, and raises when the process shall stop."""

    request: AnalysisRequest
    model: Model
    video: Source
    detector: Detector[Any]
    results: Results
    pictures: Pictures
    watch: Stopwatch
    chunk_frames: int
    scratch: Path  # a folder for a file on its way
    halt: Callable[[], None]

    @property
    def tracked(self) -> bool:
        return self.request.options.track and self.model.task in TRACKED_TASKS

    def run(self) -> Summary:
        """Stores what is missing and finishes. Raises AnalysisError or ClaimLost.

        However often it was begun and killed before, the rows are those of an undisturbed run: what is stored is
        not computed again, and the tracker is brought to where it was by showing it the stored detections.
        """
        options = self.request.options
        tracker = Tracker() if self.tracked else None
        number, start, after_us = 0, 0, None
        for chunk in self.results.chunks():
            self.halt()
            for result in chunk.frames:
                track_ids(tracker, result.detections)
            number, start = chunk.number + 1, chunk.end_frame
            after_us = None if chunk.damaged else chunk.frames[-1].pts_us
        if start:
            logger.info("resumed", extra={"chunks": number, "frames": start})
        self.results.enter(Doing.ANALYSING)
        frames = self.video.frames(options, start=start, after_us=after_us)
        stored, _ = self.store(frames, number=number, total=self.video.expected_frames(options), tracker=tracker)
        if not start + stored:
            raise VideoWithoutFrames(self.video.whereabouts())
        self.results.enter(Doing.FINISHING)
        return self.finish(start + stored)

    def finish(self, frames: int) -> Summary:
        """Pictures, summary and status, once all `frames` are stored. Raises AnalysisError or ClaimLost."""
        with self.watch.timing("thumbnails"):
            thumbnails, poster = self._thumbnails(frames)
        annotated_video = self._annotated_video() if self.request.options.annotated_video else None
        summary = self._summary(frames, thumbnails, poster=poster, annotated_video=annotated_video)
        self.halt()
        self.results.finish(summary=summary, report=self.video.report(), seconds=self.watch.seconds())
        return summary

    def store(
        self, frames: Iterator[Frame], *, number: int, total: int | None, tracker: Tracker | None
    ) -> tuple[int, int]:
        """Analyses the frames and stores them as chunks from `number` on.

        Returns how many frames there were, and how many chunks are stored now, by whomever. `total` is the number
        of frames the user is told, None if it is unknown.
        """
        frames_stored, chunks_stored = 0, 0
        stages = results_of(
            frames,
            options=self.request.options,
            model=self.model,
            detector=self.detector,
            tracker=tracker,
            watch=self.watch,
            halt=self.halt,
        )
        with closing(stages) as results:
            for group in _grouped(results, self.chunk_frames):
                with self.watch.timing("store"):
                    chunk = Chunk(number=number, frames=group, damaged=self.video.damaged())
                    chunks_stored = self.results.write_chunk(chunk, frames_total=total)
                number, frames_stored = number + 1, frames_stored + len(group)
        return frames_stored, chunks_stored

    def _thumbnails(self, frames: int) -> tuple[tuple[Thumbnail, ...], str | None]:
        """And the poster's key, unless its frame is not found again."""
        wanted = [self.results.frame(index) for index in evenly_spaced(frames, self.request.options.thumbnails)]
        places = {result.pts_us: place for place, result in enumerate(wanted)}
        poster_us = self.results.frame(poster_frame(frames)).pts_us
        thumbnails: list[Thumbnail] = []
        poster = None
        for pts_us, image in self.video.pictures_at({poster_us, *places}):
            if pts_us == poster_us:
                poster = poster_key(self.request.analysis_id)
                self.pictures.put_jpeg(poster, plain_jpeg(image))
            if pts_us in places:
                result = wanted[places[pts_us]]
                key = thumbnail_key(self.request.analysis_id, places[pts_us])
                jpeg = annotated_jpeg(image, result, self.model.classes, task=self.model.task)
                self.pictures.put_jpeg(key, jpeg)
                thumbnails.append(Thumbnail(key=key, frame_index=result.index, pts_us=pts_us))
        return tuple(sorted(thumbnails, key=lambda thumbnail: thumbnail.frame_index)), poster

    def _annotated_video(self) -> str:
        self.results.enter(Doing.DRAWING)
        key, path = annotated_video_key(self.request.analysis_id), self.scratch / "annotated.mp4"
        with self.watch.timing("annotated video"):
            with closing(self.video.all_frames()) as frames:
                results = (result for chunk in self.results.chunks() for result in chunk.frames)
                write_mp4(
                    path, self._halting(with_boxes(frames, results, self.model.classes, task=self.model.task))
                )
            self.pictures.put_video(key, path)
            path.unlink(missing_ok=True)
        return key

    def _halting(self, items: Iterator[Item]) -> Iterator[Item]:
        for item in items:
            self.halt()
            yield item

    def _summary(
        self, frames: int, thumbnails: tuple[Thumbnail, ...], *, poster: str | None, annotated_video: str | None
    ) -> Summary:
        counts = self.results.counts()
        return Summary(
            frames=frames,
            detections=sum(detections for detections, _ in counts.values()),
            tracks=sum(tracks for _, tracks in counts.values()),
            per_class={
                self.model.classes[class_id]: ClassCount(detections=detections, tracks=tracks)
                for class_id, (detections, tracks) in counts.items()
            },
            thumbnails=thumbnails,
            poster=poster,
            annotated_video=annotated_video,
        )


def _grouped(results: Iterator[FrameResult], size: int) -> Iterator[tuple[FrameResult, ...]]:
    group: list[FrameResult] = []
    for result in results:
        group.append(result)
        if len(group) == size:
            yield tuple(group)
            group = []
    if group:
        yield tuple(group)
