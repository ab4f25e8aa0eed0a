"""One attempt of a job, or of one job of an array, as the transactions that it makes.

The SQL is that of the job. Decoding and detecting, which lie between two transactions, are left out: here a
container may die or be overtaken between any two of them.
"""

from collections.abc import Iterator

import numpy as np

from batch_job.claim import Claim
from batch_job.errors import AnalysisError, ClaimLost
from batch_job.store import Store
from batch_job.values import Chunk, Detections, FrameResult
from contract.exit_codes import EXIT_DONE, EXIT_GIVE_UP, EXIT_TRY_AGAIN
from contract.jobs import is_last_attempt
from contract.keys import poster_key
from contract.results import DecodeReport, Summary
from contract.statuses import Stage
from local.batch.jobs import Job
from tests.backend.making import DECODE_REPORT

CHUNKS = 2  # of a single job; each job of an array has one
REPORT = DecodeReport(**{**DECODE_REPORT, "skipped": ()})


def chunk(number: int) -> Chunk:
    frame = FrameResult(
        index=number, pts_us=number * 40_000, detections=Detections.none(), track_id=np.zeros(0, np.int32)
    )
    return Chunk(number=number, frames=(frame,))


class Container:
    def __init__(
        self, job: Job, claim: Claim, store: Store, *, objects: set[str], inputs: str, repeated: bool
    ) -> None:
        self.job, self.claim, self.store = job, claim, store
        self.chunks = job.array_size or CHUNKS
        self.begun = self.told_to_stop = self.finished = False
        self._objects, self._inputs, self._repeated = objects, inputs, repeated
        self._life = self._live()

    def step(self) -> bool:
        """Until its next transaction is committed; False when there was none. Raises ClaimLost."""
        self.begun = True
        return next(self._life, False)

    def failed(self, error: AnalysisError) -> int:
        """Its exit code, as `batch_job.main` decides it."""
        token = self.claim.token
        if error.retryable and not is_last_attempt(token.attempt, on_demand=token.on_demand):
            return EXIT_TRY_AGAIN
        try:
            if not self.claim.taken:
                self.claim.take()
            self.claim.fail(error)
        except ClaimLost:
            return EXIT_DONE
        return EXIT_GIVE_UP

    def _live(self) -> Iterator[bool]:
        """As `batch_job.main`, `analysis` and `shares`."""
        claim, store = self.claim, self.store
        claim.take()
        yield True
        store.enter(Stage.FETCHING)
        yield True
        store.made_from(self._inputs)
        yield True
        shared = claim.token.together
        stored = store.stored_chunks()
        mine = [self.job.index or 0] if shared else range(self.chunks)
        missing = [number for number in mine if number not in stored]
        if shared and not missing and not (self._repeated and len(stored) == self.chunks):
            return
        there = len(stored)
        for number in missing:
            there = store.write_chunk(chunk(number), frames_total=self.chunks)
            yield True
        if shared and there != self.chunks:
            return
        store.enter(Stage.FINISHING)
        yield True
        self._objects.add(poster_key(claim.token.analysis_id))
        yield True
        summary = Summary(frames=self.chunks, detections=0, tracks=0, per_class={}, thumbnails=())
        store.finish(summary=summary, report=REPORT, seconds={})
        self.finished = True
        yield True
