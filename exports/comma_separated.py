"""CSV as in RFC 4180: a header, lines that end in CR LF, fields quoted where they must be."""

import csv
from collections.abc import Iterable, Iterator

from exports.text import pieces, short
from exports.values import AnalysedFrame, AnalysisDescription, DetectionRow

HEADER = (
    "frame_index",
    "ordinal",
    "pts_us",
    "class_id",
    "class",
    "track_id",
    "confidence",
    "x1",
    "y1",
    "x2",
    "y2",
    "shape",
)


def write(
    description: AnalysisDescription, frames: Iterable[AnalysedFrame], detections: Iterable[DetectionRow]
) -> Iterator[bytes]:
    return pieces(_lines(description, detections))


def _lines(description: AnalysisDescription, detections: Iterable[DetectionRow]) -> Iterator[str]:
    line = csv.writer(_Echo(), lineterminator="\r\n").writerow  # returns what `_Echo.write` returns
    yield line(HEADER)
    for row in detections:
        yield line(
            (
                row.frame_index,
                row.ordinal,
                row.pts_us,
                row.class_id,
                description.class_name(row.class_id),
                row.track_id,
                *map(short, row[5:10]),
                " ".join(repr(short(value)) for value in row.shape or ()),
            )
        )


class _Echo:
    def write(self, text: str) -> str:
        return text
