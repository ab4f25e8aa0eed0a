"""Which detections are the same object: ByteTrack.

Zhang et al. 2022, "ByteTrack: Multi-Object Tracking by Associating Every Detection Box" (ECCV): confident
detections are matched to predicted tracks first, then the rest to the tracks that are left. Thresholds of the
matching, the fusion of overlap and confidence, and the removal of doubles are those of the authors' code
(FoundationVision/ByteTrack, `yolox/tracker/byte_tracker.py`) and of its descendant in ultralytics. Assignment:
Jonker and Volgenant 1987 (`lap`).

Differences: a track keeps its class and is matched only to detections of it; a detection that no track takes may
start one although it is not among the confident, because every detection shown to the user deserves a chance to be
followed; a number is given only when a track is confirmed by a second detection (in the first frame: at once), so
that numbers have no gaps. Time is counted in analysed frames: a gap in the pts is one step.
"""

from dataclasses import dataclass

import lap
import numpy as np
from numpy.typing import NDArray

from batch_job.kalman import BoxFilters, Doubles
from batch_job.values import Detections

Indices = NDArray[np.intp]
Numbers = NDArray[np.int32]

_NEVER = 10.0  # a cost above every limit


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    confident: float = 0.5  # detections of at least this confidence are matched first
    start: float = 0.25  # and of this may start a track
    first_cost: float = 0.8  # most cost at which two are matched: 1 - IoU * confidence
    second_cost: float = 0.5  # 1 - IoU
    unconfirmed_cost: float = 0.7  # 1 - IoU * confidence
    double_iou: float = 0.85  # a lost track that lies on a visible one is the same object
    lost_frames: int = 30  # for so many frames a track waits to be seen again


class Tracker:
    """One per video. The same detections in the same order always give the same tracks."""

    def __init__(self, thresholds: Thresholds | None = None) -> None:
        self._limits = thresholds or Thresholds()
        self._frame = 0
        self._given = 0  # the last track number
        self._filters = BoxFilters.starting_at(np.zeros((0, 4)))
        self._number: Numbers = np.zeros(0, np.int32)  # 0: not confirmed
        self._class_id: NDArray[np.int16] = np.zeros(0, np.int16)
        self._first: NDArray[np.int64] = np.zeros(0, np.int64)  # frame of the first and of the last detection
        self._last: NDArray[np.int64] = np.zeros(0, np.int64)

    def update(self, detections: Detections) -> Numbers:
        """The track number of each detection of the next frame, shape (n,); 0 where it belongs to no track.

        To be called for every analysed frame in order, also for those without detections.
        """
        limits = self._limits
        self._frame += 1
        boxes = detections.boxes.astype(np.float64)
        confidence = detections.confidence.astype(np.float64)
        solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])  # the filter divides by the height
        confident = confidence >= limits.confident

        confirmed = self._number > 0
        visible = confirmed & (self._last == self._frame - 1)
        self._filters.predict(confirmed, resting_height=confirmed & ~visible)
        cost = 1 - _overlaps(self._filters.boxes(), boxes)
        cost[self._class_id[:, None] != detections.class_id[None, :]] = _NEVER
        fused = np.where(cost < _NEVER, 1 - (1 - cost) * confidence[None, :], _NEVER)

        taken = np.zeros(len(detections), np.bool_)  # detections that have found their track
        track_of = np.full(len(detections), -1, np.intp)
        for tracks, rest, costs, limit in (
            (confirmed, solid & confident, fused, limits.first_cost),
            (visible, solid & ~confident, cost, limits.second_cost),
            (~confirmed, solid, fused, limits.unconfirmed_cost),
        ):
            seen = self._last == self._frame
            which, found = _assign(costs, np.flatnonzero(tracks & ~seen), np.flatnonzero(rest & ~taken), limit)
            self._last[which] = self._frame
            taken[found] = True
            track_of[found] = which

        matched = np.flatnonzero(track_of >= 0)
        self._filters.correct(track_of[matched], boxes[matched])
        self._confirm(track_of, matched)
        numbers = np.zeros(len(detections), np.int32)
        numbers[matched] = self._number[track_of[matched]]
        fresh = np.flatnonzero(solid & ~taken & (confidence >= limits.start))
        self._forget()
        numbers[fresh] = self._start(boxes[fresh], detections.class_id[fresh])
        return numbers

    def _confirm(self, track_of: Indices, matched: Indices) -> None:
        """Numbers the tracks that have just been seen for the second time, the most confident detection first."""
        new = [track for track in track_of[matched] if self._number[track] == 0]
        self._number[new] = np.arange(self._given + 1, self._given + 1 + len(new), dtype=np.int32)
        self._given += len(new)

    def _start(self, boxes: Doubles, class_id: NDArray[np.int16]) -> Numbers:
        numbers = np.zeros(len(boxes), np.int32)
        if self._frame == 1:
            numbers = np.arange(1, len(boxes) + 1, dtype=np.int32)
            self._given = len(boxes)
        now = np.full(len(boxes), self._frame, np.int64)
        self._filters = self._filters.joined(BoxFilters.starting_at(boxes))
        self._number = np.concatenate((self._number, numbers))
        self._class_id = np.concatenate((self._class_id, class_id))
        self._first = np.concatenate((self._first, now))
        self._last = np.concatenate((self._last, now))
        return numbers

    def _forget(self) -> None:
        """Drops unconfirmed tracks not seen again, tracks lost for long, and doubles of what is seen."""
        seen = self._last == self._frame
        keep = seen | ((self._number > 0) & (self._frame - self._last <= self._limits.lost_frames))
        boxes = self._filters.boxes()
        visible, lost = np.flatnonzero(keep & seen), np.flatnonzero(keep & ~seen)
        same = _overlaps(boxes[visible], boxes[lost]) > self._limits.double_iou
        same &= self._class_id[visible][:, None] == self._class_id[lost][None, :]
        for row, column in np.argwhere(same):
            # The one that was followed for longer stays.
            one, other = visible[row], lost[column]
            longer = self._last[one] - self._first[one] > self._last[other] - self._first[other]
            keep[other if longer else one] = False
        if keep.all():
            return
        self._filters = self._filters.kept(keep)
        self._number, self._class_id = self._number[keep], self._class_id[keep]
        self._first, self._last = self._first[keep], self._last[keep]


def _assign(costs: Doubles, rows: Indices, columns: Indices, limit: float) -> tuple[Indices, Indices]:
    """The cheapest pairs of `rows` and `columns` of the cost matrix, none above `limit`."""
    if not len(rows) or not len(columns):
        return rows[:0], columns[:0]
    _, column_of, _ = lap.lapjv(costs[np.ix_(rows, columns)], extend_cost=True, cost_limit=limit)
    found = np.flatnonzero(column_of >= 0)
    return rows[found], columns[column_of[found]]


def _overlaps(some: Doubles, others: Doubles) -> Doubles:
    """Intersection over union of each pair, shape (len(some), len(others)); 0 where there is no area."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    shared = (high - low).clip(min=0).prod(axis=2)
    areas = (some[:, 2:] - some[:, :2]).prod(axis=1)[:, None] + (others[:, 2:] - others[:, :2]).prod(axis=1)[
        None, :
    ]
    union = areas - shared
    overlaps: Doubles = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps
