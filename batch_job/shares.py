"""An analysis shared out among the jobs of an array: each stores its own chunks, and one of them finishes.

The result is that of a single job, row for row. Where that cannot be had, because only decoding everything in
order tells which frame is which, one job takes the whole analysis and the others stop.
"""

import logging
from dataclasses import dataclass, replace
from typing import Protocol

from batch_job.analysis import Analysis, Results
from batch_job.errors import OutOfStep
from batch_job.tracker import Tracker
from batch_job.values import FrameResult
from contract.results import Summary
from contract.statuses import Stage

logger = logging.getLogger(__name__)


class SharedResults(Results, Protocol):
    """Where several jobs store one analysis."""

    def stored_chunks(self) -> set[int]:
        """The numbers of the chunks that are committed, by whomever."""

    def write_tracks(self, frames: tuple[FrameResult, ...]) -> None:
        """Gives stored detections their track ids. Doing so again changes nothing."""

    def take_alone(self) -> None:
        """From now on only this job may write, and nothing is stored. Raises ClaimLost where another was first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """One job of an array."""

    index: int  # from 0
    size: int
    repeated: bool  # an earlier attempt at this share may have stored all of it

    def of(self, chunks: int) -> range:
        """The numbers of its chunks: consecutive ones, as seeking costs."""
        return range(self.index * chunks // self.size, (self.index + 1) * chunks // self.size)


def run_share(analysis: Analysis, share: Share, results: SharedResults) -> Summary | None:
    """Stores what is missing of the share, and finishes if nothing is missing of the whole; None if something is.

    Raises AnalysisError or ClaimLost.
    """
    total = analysis.video.exact_frames(analysis.request.options)
    if not total:
        if share.index:
            return None  # the first one does it alone
        return _alone(analysis, results)
    try:
        if not _store(analysis, share, results, total):
            return None
    except OutOfStep:
        return _alone(analysis, results)
    results.enter(Stage.FINISHING)
    if analysis.tracked:
        with analysis.watch.timing("track"):
            _track(analysis, results)
    analysis.video.shared_out(analysis.request.options)
    return analysis.finish(total)


def _store(analysis: Analysis, share: Share, results: SharedResults, total: int) -> bool:
    """Is everything stored now, so that this job has to finish?

    Whoever commits the last chunk sees that it is the last. A repeated attempt asks also if it had nothing left to
    store: it may be the one that was to finish.
    """
    size = analysis.chunk_frames
    chunks = -(-total // size)
    mine = share.of(chunks)
    results.enter(Stage.ANALYSING)
    stored = results.stored_chunks()
    first = next((number for number in mine if number not in stored), None)
    if first is None:
        return share.repeated and len(stored) == chunks
    stop = min(mine.stop * size, total)
    frames = analysis.video.share(analysis.request.options, start=first * size, stop=stop)
    _, stored_now = analysis.store(frames, number=first, total=total, tracker=None)
    logger.info("share stored", extra={"chunks": len(mine), "frames": stop - first * size})
    return stored_now == chunks


def _track(analysis: Analysis, results: SharedResults) -> None:
    tracker = Tracker()
    for chunk in results.chunks():
        analysis.halt()
        tracked = (replace(frame, track_id=tracker.update(frame.detections)) for frame in chunk.frames)
        results.write_tracks(tuple(tracked))


def _alone(analysis: Analysis, results: SharedResults) -> Summary:
    logger.info("taken alone", extra={"reason": "frames cannot be told without decoding all of them in order"})
    results.take_alone()
    return analysis.run()
