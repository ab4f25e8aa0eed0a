"""A circuit breaker towards AWS Batch: while it is known to be away, records are not kept waiting for it.

Its state is that of one execution environment of the function; each of them finds out for itself.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lambda_sqs_to_batch.errors import SubmissionPostponed, SubmissionRefused

# In a row. A record that AWS Batch keeps waiting takes 9 s at most (batch_gateway), so that after three of them
# the others are turned away within a function timeout of 30 s.
FAILURES_TO_OPEN = 3
# Less than the queue's visibility timeout: a message that was turned away finds the breaker ready for a trial.
OPEN_SECONDS = 20.0


class CircuitBreaker:
    """Closed; open for OPEN_SECONDS after FAILURES_TO_OPEN failures; then half open, and one trial decides."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until = clock()

    @contextmanager
    def guarding(self) -> Iterator[None]:
        """Around the calls for one record. Raises SubmissionPostponed while open, and the block is not entered.

        A SubmissionPostponed out of the block is a failure; with a refusal AWS Batch has answered.
        """
        if self._clock() < self._open_until:
            raise SubmissionPostponed("AWS Batch did not take the records before, and is left alone for a while")
        try:
            yield
        except SubmissionPostponed:
            self._failures += 1
            if self._failures >= FAILURES_TO_OPEN:
                # The count stays, so that after the pause a single failure opens it again.
                self._open_until = self._clock() + OPEN_SECONDS
            raise
        except SubmissionRefused:
            self._failures = 0
            raise
        self._failures = 0
