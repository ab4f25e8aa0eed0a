"""Parquet: typed columns, compressed with zstd, the unit of each in the metadata of its field. Needs pyarrow."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Any

from exports.values import AnalysedFrame, AnalysisDescription, DetectionRow

# Outlines may have hundreds of points: as Arrow's arrays they take an eighth of the memory of Python's floats.
ROWS_PER_BATCH = 1 << 11
BATCHES_PER_GROUP = 16

_PIXELS = "pixel of the upright frame"
_SHAPE_UNITS = {
    "segment": "x, y of each corner of the outline in pixels",
    "pose": "x and y in pixels and confidence of each key point",
    "obb": "x and y of the centre, width and height in pixels, angle in radians",
}


def write(
    description: AnalysisDescription, frames: Iterable[AnalysedFrame], detections: Iterable[DetectionRow]
) -> Iterator[bytes]:
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema(pa, description)
    sink = _Sink()
    batches = _batches(pa, schema, description, detections)
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while group := list(islice(batches, BATCHES_PER_GROUP)):
            writer.write_table(pa.Table.from_batches(group))
            yield sink.taken()
    yield sink.taken()


def _batches(
    pa: Any, schema: Any, description: AnalysisDescription, detections: Iterable[DetectionRow]
) -> Iterator[Any]:
    rest = iter(detections)
    while rows := list(islice(rest, ROWS_PER_BATCH)):
        columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
        columns.insert(4, [description.class_name(row.class_id) for row in rows])
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _schema(pa: Any, description: AnalysisDescription) -> Any:
    def field(name: str, kind: Any, unit: str, *, nullable: bool = False) -> Any:
        return pa.field(name, kind, nullable=nullable, metadata={"unit": unit})

    return pa.schema(
        [
            field("frame_index", pa.int64(), "analysed frames from 0"),
            field("ordinal", pa.int16(), "place in its frame from 0, most confident first"),
            field("pts_us", pa.int64(), "microsecond of stream time"),
            field("class_id", pa.int16(), "index of the model's class"),
            field("class", pa.string(), "name of the model's class"),
            field("track_id", pa.int32(), "track from 1, null outside every track", nullable=True),
            field("confidence", pa.float32(), "0 to 1"),
            *(field(name, pa.float32(), _PIXELS) for name in ("x1", "y1", "x2", "y2")),
            field(
                "shape", pa.list_(pa.float32()), _SHAPE_UNITS.get(description.task, "always null"), nullable=True
            ),
        ],
        metadata={"framebatch": json.dumps(asdict(description))},
    )


class _Sink:
    """A file whose bytes are taken away as they come."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        return len(self._parts[-1])

    def flush(self) -> None: ...

    def close(self) -> None: ...

    def taken(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
