"""What holds for every format."""

import sys
from collections.abc import Iterator
from itertools import islice

import pytest

from exports.formats import FORMATS
from exports.values import AnalysedFrame, DetectionRow
from tests.exports.making import description, row

MOST_ROWS_HELD = 40_000

every_format = pytest.mark.parametrize("form", [pytest.param(form, id=name) for name, form in FORMATS.items()])


@every_format
def test_rows_are_read_as_the_file_is_written(form):
    """A long video has millions of rows, and many files are written at the same time."""
    read = 0

    def rows() -> Iterator[DetectionRow]:
        nonlocal read
        for read in range(1, 1_000_001):
            yield row(read, shape=None)

    for number, piece in enumerate(islice(form.write(description(), (), rows()), 5), start=1):
        assert read <= number * MOST_ROWS_HELD
        assert len(piece) < 4 * 2**20


@every_format
def test_frames_are_not_asked_for_before_the_last_detection(form):
    """Whoever writes while a video is analysed does not know them earlier."""
    asked = []

    def rows() -> Iterator[DetectionRow]:
        yield row(0)
        asked.append("last detection")

    def frames() -> Iterator[AnalysedFrame]:
        asked.append("frames")
        yield AnalysedFrame(0, 0)

    list(form.write(description(), frames(), rows()))
    assert asked[0] == "last detection"


def test_only_parquet_needs_what_may_be_absent(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert {name for name, form in FORMATS.items() if not form.available} == {"parquet"}
