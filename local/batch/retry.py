"""Whether a failed attempt is followed by another ("Automated job retries" in the AWS Batch user guide)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptEnd:
    """What the rules look at. A lost host leaves no exit code, a container that just ended gives no reason."""

    exit_code: int | None = None
    reason: str | None = None
    status_reason: str | None = None


def attempts_allowed(strategy: Mapping[str, Any]) -> int:
    """By default, each job is given one attempt."""
    return int(strategy.get("attempts", 1))


def is_retried(strategy: Mapping[str, Any], *, attempts_made: int, end: AttemptEnd) -> bool:
    """A failed attempt goes back to RUNNABLE while attempts are left, unless a rule says EXIT.

    Rules are tried in order and the first that matches decides. "If evaluateOnExit is specified, but none of the
    retry strategies match, then the job is retried."
    """
    if attempts_made >= attempts_allowed(strategy):
        return False
    rules: Sequence[Mapping[str, str]] = strategy.get("evaluateOnExit", ())
    action = next((rule["action"] for rule in rules if _matches(rule, end)), "RETRY")
    return action.upper() == "RETRY"


def _matches(rule: Mapping[str, str], end: AttemptEnd) -> bool:
    """Of a rule "all of the specified conditions (onStatusReason, onReason, and onExitCode)" must be met."""
    exit_code = None if end.exit_code is None else str(end.exit_code)
    return (
        _fits(rule.get("onStatusReason"), end.status_reason or "")
        and _fits(rule.get("onReason"), end.reason or "")
        # Without an exit code there is no "decimal representation of the ExitCode" that a pattern could fit.
        and (rule.get("onExitCode") is None or (exit_code is not None and _fits(rule["onExitCode"], exit_code)))
    )


def _fits(pattern: str | None, text: str) -> bool:
    """A pattern "can optionally end with an asterisk (*) so that only the start of the string needs to be an exact
    match". An absent reason is an empty text, so that the guide's own last rule, `onReason: "*"`, ends every job.
    """
    if pattern is None:
        return True
    if pattern.endswith("*"):
        return text.startswith(pattern[:-1])
    return text == pattern
