"""Run after all other tests of what was applied: this ends it."""

import pytest

from tests.terraform.census import ASKED, PART_OF, census

pytestmark = [pytest.mark.xdist_group("terraform"), pytest.mark.timeout(900)]


def test_destroy_leaves_nothing(applied, applied_account, untouched):
    """Each service is asked, since terraform may have forgotten what it left behind."""
    made = applied.types() | {PART_OF.get(kind, kind) for kind in applied.types()}
    assert made - PART_OF.keys() <= ASKED.keys(), "say in census.py who is asked for these"
    there = census(applied.account.client)
    blind = {kind for kind in made & ASKED.keys() if there[kind] <= applied.before[kind]}
    assert blind == set(), "made, and not seen by the service that is asked"

    applied.configuration.destroy()

    assert applied.configuration.state().get("values", {}).get("root_module", {}) == {}
    assert _more_than(applied.before, census(applied.account.client)) == {}

    applied_account.destroy()

    assert _more_than(untouched, census(applied.account.client)) == {}


def _more_than(before: dict[str, set[str]], now: dict[str, set[str]]) -> dict[str, set[str]]:
    return {kind: more for kind, found in now.items() if (more := found - before[kind])}
