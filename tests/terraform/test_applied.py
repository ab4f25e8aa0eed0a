"""The environment `minimal`, applied for real on moto."""

import pytest

pytestmark = [pytest.mark.xdist_group("terraform"), pytest.mark.timeout(900)]


def test_minimal_applies(applied):
    assert applied.outputs["url"] == "https://video.example.org"
