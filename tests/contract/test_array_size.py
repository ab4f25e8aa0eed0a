"""Into how many jobs an analysis is split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.jobs import JOBS_AT_MOST, SECONDS_PER_JOB, array_size
from contract.options import AnalysisOptions


@pytest.mark.parametrize(
    ("seconds", "options", "size"),
    [
        pytest.param(None, {}, None, id="length unknown"),
        pytest.param(0.0, {}, None, id="nothing"),
        pytest.param(1200.0, {}, None, id="as long as one job takes"),
        pytest.param(1201.0, {}, 2, id="a second longer"),
        pytest.param(7200.0, {}, 6, id="two hours"),
        pytest.param(7200.0, {"every_nth": 6}, None, id="two hours, every sixth frame"),
        pytest.param(7200.0, {"frames_per_second": 1.0}, None, id="two hours, a frame per second"),
        pytest.param(7200.0, {"frames_per_second": 60.0}, 6, id="two hours, more frames than there are"),
        pytest.param(1e9, {}, JOBS_AT_MOST, id="longer than any video"),
    ],
)
def test_long_videos_are_shared_out(seconds, options, size):
    assert array_size(seconds, AnalysisOptions(**options)) == size


@given(seconds=st.floats(0, 1e7))
def test_it_is_a_size_that_aws_batch_takes(seconds):
    """2 to 10,000, or no array at all."""
    size = array_size(seconds, AnalysisOptions())
    assert size is None or (2 <= size <= JOBS_AT_MOST and size >= min(seconds / SECONDS_PER_JOB, JOBS_AT_MOST))
