"""Quotations: "Fair-share scheduling policies" (AWS Batch user guide), FairsharePolicy, ShareAttributes (API)."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.batch.fairshare import (
    Candidate,
    UsageLedger,
    Use,
    decayed_fraction,
    next_candidate,
    reserved_ratio,
    weight_of,
)

WINDOW = 600.0


def policy(**weights: float) -> dict[str, Any]:
    return {
        "shareDistribution": [
            {"shareIdentifier": share.replace("_any", "*"), "weightFactor": weight}
            for share, weight in weights.items()
        ]
    }


def candidate(share: str, order: int = 0, priority: int = 0) -> Candidate:
    return Candidate(f"{share}-{order}", share, priority, order)


def serve(weights: dict[str, Any], rooms: int) -> Counter[str]:
    """Fills the rooms while every share always has another job waiting."""
    ledger, served = UsageLedger(), Counter[str]()
    shares = [entry["shareIdentifier"] for entry in weights["shareDistribution"]]
    for turn in range(rooms):
        chosen = next_candidate([candidate(share, turn) for share in shares], weights, ledger.usage(0.0, WINDOW))
        assert chosen is not None
        served[chosen.share] += 1
        ledger.begin(f"{turn}", chosen.share, 1.0, 0.0)
    return served


def test_a_lower_weight_factor_gets_more() -> None:
    """ "[...] jobs that use a share identifier with a weight factor of 0.125 (1/8) get 8 times the compute
    resources of jobs that use a share identifier with a weight factor of 1."
    """
    served = serve(policy(heavy=0.125, light=1.0), rooms=90)
    assert served["heavy"] == pytest.approx(8 * served["light"], rel=0.15)


@given(st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0.125, 0.25, 0.5, 1.0, 2.0]), min_size=2))
def test_shares_are_in_proportion_to_their_weights(weights: dict[str, float]) -> None:
    served = serve(policy(**weights), rooms=200)
    parts = sum(1 / weight for weight in weights.values())
    for share, weight in weights.items():
        assert abs(served[share] - 200 / weight / parts) <= len(weights)


def test_nobody_is_starved() -> None:
    """A share without usage has the least usage there is, whatever its weight."""
    assert serve(policy(heavy=0.001, light=999.0), rooms=2) == {"heavy": 1, "light": 1}


def test_between_unused_shares_the_lower_weight_factor_is_first() -> None:
    chosen = next_candidate([candidate("light", 1), candidate("heavy", 2)], policy(heavy=0.5, light=1.0), {})
    assert chosen == candidate("heavy", 2)


def test_a_share_that_is_not_named_weighs_one() -> None:
    """ "Share identifiers that aren't included have a default weight of 1.0." """
    assert weight_of(policy(heavy=0.5), "other") == 1.0


def test_an_asterisk_gives_the_weight_to_every_identifier_with_the_prefix() -> None:
    """ "If the string ends with an asterisk (*), this entry specifies the weight factor to use for share
    identifiers that start with that prefix."
    """
    assert weight_of(policy(team_any=0.25), "teamA") == 0.25
    assert weight_of(policy(team_any=0.25), "other") == 1.0


def test_priority_orders_inside_a_share() -> None:
    """ "Jobs with a higher scheduling priority are scheduled before jobs with a lower scheduling priority." """
    waiting = [candidate("a", 1, priority=1), candidate("a", 2, priority=9), candidate("a", 3, priority=9)]
    assert next_candidate(waiting, policy(), {}) == waiting[1]


def test_priority_does_not_reach_other_shares() -> None:
    """schedulingPriorityOverride "works only within a single share identifier"."""
    waiting = [candidate("used", 1, priority=9999), candidate("fresh", 2, priority=0)]
    assert next_candidate(waiting, policy(), {"used": 1.0, "fresh": 0.0}) == waiting[1]


@pytest.mark.parametrize(
    ("reservation", "shares", "expected"),
    [(50, 1, 0.5), (50, 2, 0.25), (50, 3, 0.125), (25, 1, 0.25), (25, 2, 0.0625), (0, 1, 0.0)],
)
def test_the_reserved_ratio_is_the_documented_one(reservation: int, shares: int, expected: float) -> None:
    """ "[...] a computeReservation value of 50 indicates that Batch reserves 50% of the maximum available vCPU if
    there's only one share identifier. It reserves 25% if there are two share identifiers."
    """
    assert reserved_ratio({"computeReservation": reservation}, shares) == pytest.approx(expected)


def test_recent_use_counts_more_than_old_use() -> None:
    """ "The decay allows for more recently run jobs to have more weight than jobs that ran earlier." """
    recent, old, forgotten = (Use("a", 1.0, start, start + 60) for start in (540.0, 0.0, -60.0))
    assert decayed_fraction(recent, 600.0, WINDOW) > decayed_fraction(old, 600.0, WINDOW) > 0
    assert decayed_fraction(forgotten, 600.0, WINDOW) == 0


@given(st.floats(0, 2000), st.floats(0, 2000))
def test_the_decayed_part_lies_between_nothing_and_all(start: float, length: float) -> None:
    assert -1e-9 <= decayed_fraction(Use("a", 1.0, start, start + length), start + length, WINDOW) <= 1 + 1e-9


def test_use_over_the_whole_window_counts_fully() -> None:
    assert decayed_fraction(Use("a", 1.0, 0.0), 600.0, WINDOW) == pytest.approx(1.0)


def test_the_ledger_forgets_what_left_the_window() -> None:
    ledger = UsageLedger()
    ledger.begin("x", "a", 2.0, 0.0)
    assert ledger.usage(0.0, WINDOW) == {"a": 2.0}
    ledger.finish("x", 60.0)
    assert 0 < ledger.usage(61.0, WINDOW)["a"] < 2.0
    assert ledger.usage(661.0, WINDOW) == {}
    assert not ledger.ended
