"""Small stand-ins for the parts around the story: a video, a network, a store, a bucket and AWS Batch."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from batch_job.candidates import Candidates, Keep, candidates_in
from batch_job.detector import Tag
from batch_job.errors import ClaimLost
from batch_job.letterbox import Letterbox, Shape
from batch_job.values import Chunk, Floats, Frame, FrameResult, Image
from contract.notices import Notice
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

    def exact_frames(self, options: AnalysisOptions) -> int | None:
        return self.count

    def share(self, options: AnalysisOptions, *, start: int, stop: int) -> Iterator[Frame]:
        return (frame for frame in self.frames(options, start=start) if frame.index < stop)

    def shared_out(self, options: AnalysisOptions) -> None: ...

    def damaged(self) -> bool:
        return False

    def frames(self, options: AnalysisOptions, *, start: int = 0, after_us: int | None = None) -> Iterator[Frame]:
        for index in range(start, self.count):
            yield Frame(index=index, pts_us=33_333 * index, image=self.picture(index))

    def all_frames(self) -> Generator[Frame, None, None]:
        yield from self.frames(AnalysisOptions())

    def pictures_at(self, times_us: Iterable[int]) -> Iterator[tuple[int, Image]]:
        for time in sorted(times_us):
            yield time, self.picture(time // 33_333)

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

    def picture(self, index: int) -> Image:
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

    def prepare(self, image: Image, letterbox: Letterbox) -> Image:
        return letterbox.place(image)

    def detect(self, pictures: Iterator[tuple[Tag, Image]], keep: Keep) -> Iterator[tuple[Tag, Candidates]]:
        for tag, picture in pictures:
            index = int(picture[0, 0, 0]) + 256 * int(picture[0, 0, 1])
            if index == self.broken_at:
                raise MemoryError("broken")
            self.seen.append(index)
            yield tag, candidates_in(self._output(index), keep)

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

    def write_chunk(self, chunk: Chunk, *, frames_total: int | None) -> int:
        if len(self.kept) == self.lost_after:
            raise ClaimLost
        self.kept.append(chunk)
        return len(self.kept)

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
            (
                frame.index,
                frame.pts_us,
                frame.detections.boxes.tobytes(),
                [shape.tolist() for shape in frame.detections.shapes],
                frame.track_id.tolist(),
            )
            for frame in self.frames()
        ]


class FakePictures:
    def __init__(self) -> None:
        self.jpegs: dict[str, bytes] = {}
        self.videos: dict[str, bytes] = {}

    def put_jpeg(self, key: str, jpeg: bytes) -> None:
        self.jpegs[key] = jpeg

    def put_video(self, key: str, path: Path) -> None:
        self.videos[key] = path.read_bytes()


class FakeBatch:
    """Keeps jobs by name; a name in `faults` raises instead."""

    def __init__(self, faults: dict[str, Exception] | None = None) -> None:
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        self.faults = faults or {}

    def existing_job(self, *, queue: str, name: str) -> str | None:
        return f"job-{name}" if name in self.jobs else None

    def submit(self, arguments: dict[str, Any]) -> str:
        name = arguments["jobName"]
        if name in self.faults:
            raise self.faults[name]
        self.jobs.setdefault(name, []).append(arguments)
        return f"job-{name}"


@dataclass
class FakeNotices:
    """What the Lambda told the worker; `fault` is raised instead."""

    notices: list[Notice] = field(default_factory=list)
    fault: Exception | None = None

    def send(self, notice: Notice) -> None:
        if self.fault is not None:
            raise self.fault
        self.notices.append(notice)
