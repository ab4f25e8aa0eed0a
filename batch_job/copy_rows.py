"""Detections in PostgreSQL's binary COPY format, built with numpy.

Formatting row by row in Python is what bounds the speed of COPY; laying the fields out as an array of records does
not. Format: "File Formats, Binary Format" on PostgreSQL's page of COPY: a signature, then for each row the number
of fields and for each field its length and big-endian bytes; length -1 and no bytes for NULL; at the end -1. An
array (`array_recv` in the server's source) is the number of dimensions, a flag for NULLs, the elements' type, size
and lower bound of each dimension, and the elements, each with its length.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg.adapt import Buffer, Loader
from psycopg.postgres import types
from psycopg.pq import Format

from batch_job.values import Floats, FrameResult

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)  # signature, no flags, no header extension
_TRAILER = b"\xff\xff"
_KINDS = {  # contract.tables.DETECTION_COLUMNS; a test holds the two together
    "analysis_id": "V16",
    "frame_index": ">i8",
    "ordinal": ">i2",
    "pts_us": ">i8",
    "class_id": ">i2",
    "track_id": ">i4",
    "confidence": ">f4",
    "x1": ">f4",
    "y1": ">f4",
    "x2": ">f4",
    "y2": ">f4",
    "shape": None,  # depends on its length
}
COLUMNS = tuple(_KINDS)
_ARRAY_HEAD = np.dtype((">i4", 5))
_ELEMENT = np.dtype([("length", ">i4"), ("value", ">f4")])
REAL = types["float4"]

Column = NDArray[Any]


def binary_copy(analysis_id: UUID, frames: Sequence[FrameResult]) -> bytes:
    """What `COPY ... FROM STDIN (FORMAT BINARY)` takes for the detections of `frames`, in the order of COLUMNS.

    Rows without a track, or with shapes of other lengths, are laid out differently, and those of one layout are
    written together: COPY does not care for the order.
    """
    sizes = [len(frame.detections) for frame in frames]
    boxes = np.concatenate([frame.detections.boxes for frame in frames])
    values: dict[str, Column] = {
        "analysis_id": np.frombuffer(analysis_id.bytes * len(boxes), "V16"),
        "frame_index": np.repeat([frame.index for frame in frames], sizes),
        "ordinal": np.concatenate([np.arange(size) for size in sizes]),
        "pts_us": np.repeat([frame.pts_us for frame in frames], sizes),
        "class_id": np.concatenate([frame.detections.class_id for frame in frames]),
        "track_id": np.concatenate([frame.track_id for frame in frames]),
        "confidence": np.concatenate([frame.detections.confidence for frame in frames]),
        **{name: boxes[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
    }
    shapes = [shape for frame in frames for shape in frame.detections.shapes]
    lengths = np.array([len(shape) for shape in shapes]) if shapes else np.zeros(len(boxes), np.int64)
    tracked = values["track_id"] != 0
    parts = [_HEADER]
    for length in np.unique(lengths):
        for has_track in (True, False):
            which = np.flatnonzero((lengths == length) & (tracked == has_track))
            if not len(which):
                continue
            rows: dict[str, Column | None] = {name: column[which] for name, column in values.items()}
            if not has_track:
                rows["track_id"] = None
            rows["shape"] = _arrays([shapes[row] for row in which]) if length else None
            parts.append(_records(rows, len(which)))
    return b"".join((*parts, _TRAILER))


def _arrays(shapes: Sequence[Floats]) -> Column:
    """Shapes of one length as the values of a field."""
    values = np.array(shapes, np.float32)
    length = values.shape[1]
    arrays = np.empty(len(shapes), [("head", _ARRAY_HEAD), ("elements", _ELEMENT, length)])
    arrays["head"] = 1, 0, REAL.oid, length, 1
    arrays["elements"]["length"] = values.itemsize
    arrays["elements"]["value"] = values
    return arrays


def _records(rows: Mapping[str, Column | None], many: int) -> bytes:
    """`rows` has the values of each column, None for NULL."""
    layout: list[tuple[str, Any]] = [("fields", ">i2")]
    for name, column in rows.items():
        layout.append((f"{name}_length", ">i4"))
        if column is not None:
            layout.append((name, _KINDS[name] or column.dtype))
    records = np.empty(many, np.dtype(layout))
    records["fields"] = len(rows)
    for name, column in rows.items():
        records[f"{name}_length"] = -1 if column is None else records.dtype[name].itemsize
        if column is not None:
            records[name] = column
    return records.tobytes()


class RealsLoader(Loader):
    """Reads an array of `real` without NULLs into numpy: number by number, long outlines would take their time."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Floats:
        elements = np.frombuffer(data, _ELEMENT, offset=_ARRAY_HEAD.itemsize)
        return elements["value"].astype(np.float32)
