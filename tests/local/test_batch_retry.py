"""Quotations: "Automated job retries" (AWS Batch user guide), RetryStrategy and EvaluateOnExit (API reference)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.exit_codes import EXIT_GIVE_UP, EXIT_KILLED, EXIT_TRY_AGAIN
from contract.jobs import RETRY_STRATEGY, SPOT_ATTEMPTS
from local.batch.jobs import ESSENTIAL_CONTAINER
from local.batch.retry import AttemptEnd, is_retried

HOST_LOST = "Host EC2 (instance i-0123456789abcdef0) terminated."


def rules(*entries: dict[str, str], attempts: int = 10) -> dict[str, Any]:
    return {"attempts": attempts, "evaluateOnExit": list(entries)}


def retried(strategy: dict[str, Any], *, made: int = 1, **end: Any) -> bool:
    return is_retried(strategy, attempts_made=made, end=AttemptEnd(**end))


def test_a_job_has_one_attempt_by_default() -> None:
    """ "By default, each job is given one attempt to move to either the SUCCEEDED or FAILED job state." """
    assert not retried({}, exit_code=1)


def test_attempts_are_the_whole_number_of_runs() -> None:
    """ "The number of times to move a job to the RUNNABLE status." """
    assert retried({"attempts": 3}, made=2, exit_code=1)
    assert not retried({"attempts": 3}, made=3, exit_code=1)


def test_no_matching_rule_means_retry() -> None:
    """ "If evaluateOnExit is specified, but none of the retry strategies match, then the job is retried." """
    assert retried(rules({"onExitCode": "7", "action": "EXIT"}), exit_code=8)


def test_the_first_matching_rule_decides() -> None:
    """Rules are evaluated in order, so that a last rule may catch the rest."""
    strategy = rules({"onExitCode": "7", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"})
    assert retried(strategy, exit_code=7)
    assert not retried(strategy, exit_code=8)


def test_all_conditions_of_a_rule_must_be_met() -> None:
    """ "[...] if all of the specified conditions (onStatusReason, onReason, and onExitCode) are met." """
    strategy = rules({"onExitCode": "1", "onStatusReason": "Host EC2*", "action": "EXIT"})
    assert not retried(strategy, exit_code=1, status_reason=HOST_LOST)
    assert retried(strategy, exit_code=1, status_reason=ESSENTIAL_CONTAINER)


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        pytest.param({"onExitCode": "13*"}, {"exit_code": 137}, id="asterisk ends an exit code"),
        pytest.param({"onExitCode": "1"}, {"exit_code": 1}, id="exact exit code"),
        pytest.param({"onExitCode": "*"}, {"exit_code": 3}, id="any exit code"),
        pytest.param(
            {"onStatusReason": "Host EC2*"}, {"status_reason": HOST_LOST}, id="start of the status reason"
        ),
        pytest.param({"onReason": "*"}, {"exit_code": 1}, id="the guide's own last rule, without a reason"),
        pytest.param(
            {"onReason": "CannotPull*"}, {"reason": "CannotPullContainerError: x"}, id="start of the reason"
        ),
    ],
)
def test_a_pattern_fits(rule: dict[str, str], end: dict[str, Any]) -> None:
    """ "It can optionally end with an asterisk (*) so that only the start of the string needs to be an exact
    match."
    """
    assert not retried(rules({**rule, "action": "EXIT"}), **end)


@pytest.mark.parametrize(
    ("rule", "end"),
    [
        pytest.param({"onExitCode": "1"}, {"exit_code": 137}, id="without asterisk the whole code"),
        pytest.param({"onExitCode": "*"}, {"status_reason": HOST_LOST}, id="a lost host leaves no exit code"),
        pytest.param(
            {"onStatusReason": "Host EC2"}, {"status_reason": HOST_LOST}, id="without asterisk the whole text"
        ),
        pytest.param({"onReason": "Cannot*"}, {"exit_code": 1}, id="no reason was given"),
    ],
)
def test_a_pattern_does_not_fit(rule: dict[str, str], end: dict[str, Any]) -> None:
    assert retried(rules({**rule, "action": "EXIT"}), **end)


def test_actions_are_not_case_sensitive() -> None:
    """ "The values aren't case sensitive." """
    assert not retried(rules({"onReason": "*", "action": "exit"}), exit_code=1)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param({"status_reason": HOST_LOST}, True, id="Spot took the host"),
        pytest.param({"exit_code": EXIT_TRY_AGAIN, "status_reason": ESSENTIAL_CONTAINER}, True, id="try again"),
        pytest.param({"exit_code": EXIT_KILLED, "status_reason": ESSENTIAL_CONTAINER}, True, id="killed"),
        pytest.param({"reason": "CannotPullContainerError: x"}, True, id="image not pulled"),
        pytest.param({"exit_code": EXIT_GIVE_UP, "status_reason": ESSENTIAL_CONTAINER}, False, id="give up"),
        pytest.param({"exit_code": 1, "status_reason": ESSENTIAL_CONTAINER}, False, id="a fault in the code"),
        pytest.param({"reason": "ResourceInitializationError: x"}, False, id="no secrets"),
    ],
)
def test_our_own_strategy_retries_what_passes(end: dict[str, Any], expected: bool) -> None:
    """A fault in the code would cost three runs and fail three times."""
    assert retried(RETRY_STRATEGY, **end) is expected


@given(st.integers(1, 10), st.integers(0, 255), st.text("0123456789", min_size=1, max_size=3))
def test_no_strategy_outlives_its_attempts(attempts: int, exit_code: int, pattern: str) -> None:
    strategy = rules({"onExitCode": f"{pattern}*", "action": "RETRY"}, attempts=attempts)
    runs = 1
    while retried(strategy, made=runs, exit_code=exit_code):
        runs += 1
    assert runs == attempts


def test_our_strategy_allows_the_attempts_it_names() -> None:
    assert RETRY_STRATEGY["attempts"] == SPOT_ATTEMPTS
