"""Run after all other tests of what was applied: this ends it."""

import pytest

pytestmark = [pytest.mark.xdist_group("terraform"), pytest.mark.timeout(900)]


def test_destroy_leaves_nothing(applied):
    applied.configuration.destroy()
    assert applied.configuration.state().get("values", {}).get("root_module", {}) == {}
