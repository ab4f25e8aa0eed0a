"""Parquet: types, units, and every value as it was."""

import io
import json

from hypothesis import given
from pyarrow import parquet

from exports.parquet import BATCHES_PER_GROUP, ROWS_PER_BATCH
from tests.exports.making import analyses, description, row, written


def opened(content: bytes) -> parquet.ParquetFile:
    return parquet.ParquetFile(io.BytesIO(content))


@given(analyses())
def test_every_value_comes_back(analysis):
    of, rows = analysis
    table = opened(written("parquet", rows, of=of)).read().to_pylist()
    assert table == [{**found._asdict(), "class": of.classes[found.class_id]} for found in rows]


def test_columns_have_types_and_units():
    schema = opened(written("parquet", [])).schema_arrow
    units = {field.name: field.metadata[b"unit"].decode() for field in schema}
    assert {field.name: str(field.type) for field in schema} == {
        "frame_index": "int64",
        "ordinal": "int16",
        "pts_us": "int64",
        "class_id": "int16",
        "class": "string",
        "track_id": "int32",
        "confidence": "float",
        **dict.fromkeys(("x1", "y1", "x2", "y2"), "float"),
        "shape": "list<element: float>",
    }
    assert units["pts_us"] == "microsecond of stream time"
    assert units["x1"] == units["y2"] == "pixel of the upright frame"
    assert {field.name for field in schema if field.nullable} == {"track_id", "shape"}


def test_file_says_what_it_was_made_from():
    metadata = opened(written("parquet", [row()])).schema_arrow.metadata
    about = json.loads(metadata[b"framebatch"])
    assert (about["video"], about["width"], about["height"], about["model"]) == ("a.mp4", 640, 384, "shapes")


def test_geometry_comes_back():
    content = written("parquet", [row(shape=(1.0, 2.0, 0.1)), row(1)], of=description(task="pose"))
    assert opened(content).read(["shape"]).to_pylist() == [
        {"shape": [1.0, 2.0, 0.10000000149011612]},
        {"shape": None},
    ]


def test_rows_lie_in_groups_compressed_with_zstd():
    """A reader, and the writer, need memory for one group only."""
    most = BATCHES_PER_GROUP * ROWS_PER_BATCH
    metadata = opened(written("parquet", [row(frame) for frame in range(most + 1)])).metadata
    assert [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)] == [most, 1]
    assert metadata.row_group(0).column(0).compression == "ZSTD"
