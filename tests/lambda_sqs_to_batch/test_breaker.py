"""The circuit breaker, on a clock of the test's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_sqs_to_batch.breaker import FAILURES_TO_OPEN, OPEN_SECONDS, CircuitBreaker
from lambda_sqs_to_batch.errors import SubmissionPostponed, SubmissionRefused


class Records:
    """Tries records one after the other; knows which ones came as far as AWS Batch."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = 0
        self.breaker = CircuitBreaker(lambda: self.now)

    def try_one(self, fault: Exception | None = None) -> bool:
        """Was AWS Batch called?"""
        before = self.calls
        try:
            with self.breaker.guarding():
                self.calls += 1
                if fault is not None:
                    raise fault
        except (SubmissionPostponed, SubmissionRefused):
            pass
        return self.calls > before


AWAY, WRONG = SubmissionPostponed("away"), SubmissionRefused("wrong")


@pytest.fixture
def opened() -> Records:
    records = Records()
    assert all(records.try_one(AWAY) for _ in range(FAILURES_TO_OPEN))
    return records


def test_after_failures_in_a_row_batch_is_left_alone(opened):
    """Ten records that each wait for a service that is away would outlast the function."""
    assert not opened.try_one()
    opened.now += OPEN_SECONDS - 0.1
    assert not opened.try_one()


def test_one_trial_closes_it(opened):
    opened.now += OPEN_SECONDS
    assert opened.try_one()
    assert opened.try_one(AWAY)
    assert opened.try_one()


def test_a_trial_that_fails_opens_it_again_at_once(opened):
    opened.now += OPEN_SECONDS
    assert opened.try_one(AWAY)
    assert not opened.try_one()


def test_a_refusal_is_an_answer():
    """One user's impossible request says nothing about the others."""
    records = Records()
    assert all(records.try_one(fault) for fault in [AWAY, AWAY, WRONG, AWAY, AWAY, WRONG])


@given(st.lists(st.tuples(st.sampled_from([None, AWAY, WRONG]), st.floats(0, 30))))
def test_it_never_stays_open(history):
    """Whatever happened, a record is tried once its time is over."""
    records = Records()
    for fault, seconds in history:
        records.try_one(fault)
        records.now += seconds
    records.now += OPEN_SECONDS
    assert records.try_one()
