"""The results of one analysis in a folder: an SQLite file while it runs, then files for people and tools."""

import json
import pickle
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from batch_job.aggregates import IN_FRAME, ON_PATH, PLACES, WHOLE_SECOND
from batch_job.draft import REPORT, SECONDS, SUMMARY, TRACKS
from batch_job.models import TrustedModel
from batch_job.values import Chunk, FrameResult
from contract.keys import analysis_prefix
from contract.manifest import TRACKED_TASKS
from contract.messages import AnalysisRequest
from contract.results import DecodeReport, Summary
from contract.statuses import Stage
from exports.formats import ExportFormat
from exports.values import AnalysedFrame, AnalysisDescription, DetectionRow

_SCHEMA = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    CREATE TABLE chunk (number INTEGER PRIMARY KEY, first_frame INTEGER, content BLOB);
    CREATE TABLE detection (frame_index INTEGER, pts_us INTEGER, class_id INTEGER, track_id INTEGER,
                            confidence REAL, x REAL, y REAL);
"""
_COUNTS = "SELECT class_id, count(*), count(DISTINCT track_id) FROM detection GROUP BY class_id ORDER BY class_id"
_TRACKS = """
    SELECT track_id, class_id, min(frame_index), max(frame_index), min(pts_us), max(pts_us), count(*),
           avg(confidence)
    FROM detection WHERE track_id IS NOT NULL GROUP BY track_id ORDER BY track_id
"""
_PATHS = f"""
    SELECT track_id, pts_us, round(x, 2), round(y, 2)
    FROM (SELECT *, {PLACES} FROM detection WHERE track_id IS NOT NULL) WHERE {ON_PATH}
    ORDER BY track_id, place
"""
_SECONDS = f"""
    SELECT second, class_id, count(*), max(in_frame), count(DISTINCT track_id)
    FROM (SELECT class_id, track_id, {WHOLE_SECOND} AS second, {IN_FRAME} AS in_frame FROM detection)
    GROUP BY second, class_id ORDER BY second, class_id
"""


class FolderResults:
    """Chunks lie in an SQLite file, so that a long video needs no more memory than a short one."""

    def __init__(
        self,
        folder: Path,
        *,
        scratch: Path,
        request: AnalysisRequest,
        trusted: TrustedModel,
        precision: str,
        exports: Sequence[ExportFormat],
        tell: Callable[[Stage, int, int | None], None],
    ) -> None:
        """The request's video is a file's name. `tell` hears the stage, frames done, and of how many."""
        self._folder = folder
        self._request = request
        self._model = trusted.model
        self._engine = {"engine": trusted.engine, "precision": precision}
        self._exports = exports
        self._tell = tell
        self._done: tuple[int, int | None] = 0, None
        self._rows = sqlite3.connect(scratch / "chunks.sqlite3", isolation_level=None)
        self._rows.executescript(_SCHEMA)

    def close(self) -> None:
        self._rows.close()

    def enter(self, stage: Stage) -> None:
        self._tell(stage, *self._done)

    def chunks(self) -> Iterator[Chunk]:
        for (content,) in self._rows.execute("SELECT content FROM chunk ORDER BY number"):
            yield pickle.loads(content)

    def write_chunk(self, chunk: Chunk, *, frames_total: int | None) -> int:
        self._rows.execute("BEGIN")
        self._rows.execute(
            "INSERT INTO chunk VALUES (?, ?, ?)", (chunk.number, chunk.first_frame, pickle.dumps(chunk))
        )
        self._rows.executemany("INSERT INTO detection VALUES (?, ?, ?, ?, ?, ?, ?)", _rows_of(chunk))
        self._rows.execute("COMMIT")
        self._done = chunk.end_frame, frames_total
        self._tell(Stage.ANALYSING, *self._done)
        return chunk.number + 1

    def counts(self) -> dict[int, tuple[int, int]]:
        return {class_id: (boxes, tracks) for class_id, boxes, tracks in self._rows.execute(_COUNTS)}

    def frame(self, index: int) -> FrameResult:
        query = "SELECT content FROM chunk WHERE first_frame <= ? ORDER BY first_frame DESC LIMIT 1"
        row = self._rows.execute(query, (index,)).fetchone()
        chunk: Chunk | None = pickle.loads(row[0]) if row is not None else None
        if chunk is None or index >= chunk.end_frame:
            raise LookupError(f"frame {index} is not stored")
        return chunk.frames[index - chunk.first_frame]

    def finish(self, *, summary: Summary, report: DecodeReport, seconds: Mapping[str, float]) -> None:
        self._export(report)
        _write_lines(self._folder / TRACKS, _array(self._tracks()))
        _write_lines(self._folder / SECONDS, _array(self._seconds()))
        _write_lines(self._folder / REPORT, [json.dumps(report.to_dict(), indent=2)])
        names = replace(
            summary,
            thumbnails=tuple(replace(each, key=self._name(each.key)) for each in summary.thumbnails),
            poster=self._name(summary.poster) if summary.poster else None,
            annotated_video=self._name(summary.annotated_video) if summary.annotated_video else None,
        )
        stages = {name: round(value, 3) for name, value in seconds.items()}
        asked = self._request
        document = {
            "video": asked.video_key,
            "model": asked.model,
            **self._engine,
            "options": asked.options.to_dict(),
        }
        document |= names.to_dict() | {"stage_seconds": stages}
        _write_lines(self._folder / SUMMARY, [json.dumps(document, indent=2)])

    def put_jpeg(self, key: str, jpeg: bytes) -> None:
        path = self._folder / self._name(key)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg)

    def put_video(self, key: str, path: Path) -> None:
        shutil.move(path, self._folder / self._name(key))

    def _name(self, key: str) -> str:
        return key.removeprefix(analysis_prefix(self._request.analysis_id))

    def _export(self, report: DecodeReport) -> None:
        description = AnalysisDescription(
            video=self._request.video_key,
            width=report.width,
            height=report.height,
            time_base=report.time_base,
            model=self._model.name,
            task=self._model.task,
            classes=self._model.classes,
            tracked=self._request.options.track and self._model.task in TRACKED_TASKS,
        )
        for form in self._exports:
            with (self._folder / f"detections{form.suffix}").open("wb") as file:
                file.writelines(form.write(description, self._frames(), self._detections()))

    def _frames(self) -> Iterator[AnalysedFrame]:
        for chunk in self.chunks():
            yield from (AnalysedFrame(frame.index, frame.pts_us) for frame in chunk.frames)

    def _detections(self) -> Iterator[DetectionRow]:
        for chunk in self.chunks():
            for frame in chunk.frames:
                found = frame.detections
                columns = (found.class_id, frame.track_id, found.confidence, found.boxes)
                shapes = [shape.tolist() for shape in found.shapes] or [None] * len(found)
                rows = zip(*(column.tolist() for column in columns), shapes, strict=True)
                for ordinal, (class_id, track_id, confidence, box, shape) in enumerate(rows):
                    place = frame.index, ordinal, frame.pts_us
                    x1, y1, x2, y2 = box
                    yield DetectionRow(*place, class_id, track_id or None, confidence, x1, y1, x2, y2, shape)

    def _tracks(self) -> Iterator[dict[str, Any]]:
        paths = groupby(self._rows.execute(_PATHS), key=lambda row: row[0])
        for row, (_, path) in zip(self._rows.execute(_TRACKS), paths, strict=True):
            track_id, class_id, first_frame, last_frame, first_us, last_us, detections, confidence = row
            yield {
                "track_id": track_id,
                "class_id": class_id,
                "class": self._model.classes[class_id],
                "first_frame": first_frame,
                "last_frame": last_frame,
                "first_pts_us": first_us,
                "last_pts_us": last_us,
                "duration_us": last_us - first_us,
                "detections": detections,
                "confidence": round(confidence, 6),
                "path": [point for _, *point in path],
            }

    def _seconds(self) -> Iterator[dict[str, Any]]:
        for second, class_id, detections, most, tracks in self._rows.execute(_SECONDS):
            yield {
                "second": second,
                "class_id": class_id,
                "class": self._model.classes[class_id],
                "detections": detections,
                "most": most,
                "tracks": tracks,
            }


def _rows_of(chunk: Chunk) -> Iterator[tuple[Any, ...]]:
    for frame in chunk.frames:
        found = frame.detections
        boxes = found.boxes.astype(float)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        columns = (found.class_id, frame.track_id, found.confidence, centres[:, 0], centres[:, 1])
        for class_id, track_id, confidence, x, y in zip(*(column.tolist() for column in columns), strict=True):
            yield frame.index, frame.pts_us, class_id, track_id or None, confidence, x, y


def _compact(document: Mapping[str, Any]) -> str:
    return json.dumps(document, separators=(",", ":"))


def _array(documents: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A JSON array with an element a line, without holding them all."""
    start = "["
    for document in documents:
        yield f"{start}{_compact(document)}"
        start = ","
    yield "[]" if start == "[" else "]"


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
