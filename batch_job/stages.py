"""The overlapping stages of an analysis: frames in, tracked detections out, in the order of the frames."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batch_job.candidates import Candidates, Keep
from batch_job.detector import Detector
from batch_job.letterbox import Letterbox, Shape
from batch_job.pipeline import Stage, Stopwatch
from batch_job.tasks import detections_of
from batch_job.tracker import Tracker
from batch_job.values import Detections, Frame, FrameResult
from contract.options import AnalysisOptions

_BUFFERED_RESULTS = 64  # frames without their pictures: boxes only


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """What the stages and the story need to know of a model."""

    task: str  # one of contract.manifest.TASKS
    classes: tuple[str, ...]  # index = class id
    wanted: tuple[int, ...] | None  # class ids to keep; None keeps all


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ready:
    """A frame on its way through the network, without its picture."""

    index: int
    pts_us: int
    letterbox: Letterbox


def results_of(
    frames: Iterator[Frame],
    *,
    options: AnalysisOptions,
    model: Model,
    detector: Detector[Any],
    tracker: Tracker | None,
    watch: Stopwatch,
    halt: Callable[[], None],
) -> Stage[FrameResult]:
    """Each stage runs in a thread of its own; closing the last one closes all."""
    pictures, light = detector.capacity, _BUFFERED_RESULTS
    decoded = Stage("decode", frames, capacity=pictures, watch=watch)
    ready = Stage("preprocess", _prepared(decoded, detector), capacity=pictures, watch=watch, upstream=decoded)
    candidates = detector.detect(ready, Keep(confidence=options.confidence, classes=model.wanted))
    found = Stage("detect", candidates, capacity=light, watch=watch, upstream=ready)
    suppressed = _suppressed(found, model.task, iou=options.iou)
    boxes = Stage("postprocess", suppressed, capacity=light, watch=watch, upstream=found)
    return Stage("track", _tracked(boxes, tracker), capacity=light, watch=watch, upstream=boxes, halt=halt)


def track_ids(tracker: Tracker | None, detections: Detections) -> NDArray[np.int32]:
    """One id for each detection, 0 for none."""
    return tracker.update(detections) if tracker is not None else np.zeros(len(detections), np.int32)


def _prepared(frames: Iterator[Frame], detector: Detector[Any]) -> Iterator[tuple[_Ready, Any]]:
    letterboxes: dict[Shape, Letterbox] = {}
    for frame in frames:
        shape = frame.image.shape[0], frame.image.shape[1]
        if shape not in letterboxes:
            letterboxes[shape] = detector.letterbox_for(shape)
        letterbox = letterboxes[shape]
        ready = _Ready(index=frame.index, pts_us=frame.pts_us, letterbox=letterbox)
        yield ready, detector.prepare(frame.image, letterbox)


def _suppressed(
    found: Iterator[tuple[_Ready, Candidates]], task: str, *, iou: float
) -> Iterator[tuple[_Ready, Detections]]:
    for ready, candidates in found:
        yield ready, detections_of(task, candidates, ready.letterbox, iou=iou)


def _tracked(boxes: Iterator[tuple[_Ready, Detections]], tracker: Tracker | None) -> Iterator[FrameResult]:
    for ready, detections in boxes:
        track_id = track_ids(tracker, detections)
        yield FrameResult(index=ready.index, pts_us=ready.pts_us, detections=detections, track_id=track_id)
