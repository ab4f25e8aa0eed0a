"""Detections in PostgreSQL's binary COPY format, built with numpy.

Formatting row by row in Python is what bounds the speed of COPY; laying the fields out as an array of records does
not. Format: "File Formats, Binary Format" on PostgreSQL's page of COPY: a signature, then for each row the number
of fields and for each field its length and big-endian bytes; length -1 and no bytes for NULL; at the end -1.
"""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from batch_job.values import FrameResult

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)  # signature, no flags, no header extension
_TRAILER = b"\xff\xff"
_FIELDS = (  # contract.tables.DETECTION_COLUMNS; a test holds the two together
    ("analysis_id", "V16"),
    ("frame_index", ">i8"),
    ("ordinal", ">i2"),
    ("pts_us", ">i8"),
    ("class_id", ">i2"),
    ("track_id", ">i4"),
    ("confidence", ">f4"),
    ("x1", ">f4"),
    ("y1", ">f4"),
    ("x2", ">f4"),
    ("y2", ">f4"),
)
COLUMNS = tuple(name for name, _ in _FIELDS)


def binary_copy(analysis_id: UUID, frames: Sequence[FrameResult]) -> bytes:
    """What `COPY ... FROM STDIN (FORMAT BINARY)` takes for the detections of `frames`, in the order of COLUMNS.

    Rows without a track come after those with one: they are shorter, and COPY does not care for the order.
    """
    sizes = [len(frame.detections) for frame in frames]
    values: dict[str, NDArray[np.generic]] = {
        "frame_index": np.repeat([frame.index for frame in frames], sizes),
        "ordinal": np.concatenate([np.arange(size) for size in sizes]),
        "pts_us": np.repeat([frame.pts_us for frame in frames], sizes),
        "class_id": np.concatenate([frame.detections.class_id for frame in frames]),
        "track_id": np.concatenate([frame.track_id for frame in frames]),
        "confidence": np.concatenate([frame.detections.confidence for frame in frames]),
    }
    boxes = np.concatenate([frame.detections.boxes for frame in frames])
    values.update((name, boxes[:, column]) for column, name in enumerate(("x1", "y1", "x2", "y2")))
    tracked = values["track_id"] != 0
    return b"".join(
        (
            _HEADER,
            _records(analysis_id, values, tracked, null=None),
            _records(analysis_id, values, ~tracked, null="track_id"),
            _TRAILER,
        )
    )


def _records(
    analysis_id: UUID, values: dict[str, NDArray[np.generic]], which: NDArray[np.bool_], *, null: str | None
) -> bytes:
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for name, kind in _FIELDS:
        layout.append((f"{name}_length", ">i4"))
        if name != null:
            layout.append((name, kind))
    records = np.empty(int(np.count_nonzero(which)), np.dtype(layout))
    records["fields"] = len(_FIELDS)
    for name, kind in _FIELDS:
        records[f"{name}_length"] = -1 if name == null else np.dtype(kind).itemsize
        if name == "analysis_id":
            records[name] = np.void(analysis_id.bytes)
        elif name != null:
            records[name] = values[name][which]
    return records.tobytes()
