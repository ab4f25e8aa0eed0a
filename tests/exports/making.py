"""Analyses for the writers' tests."""

import struct
from typing import Any

from hypothesis import strategies as st

from exports.formats import FORMATS
from exports.values import AnalysedFrame, AnalysisDescription, DetectionRow

SHAPES = ("circle", "square", "triangle", "star")


def description(**fields: Any) -> AnalysisDescription:
    values = {
        "video": "a.mp4",
        "width": 640,
        "height": 384,
        "time_base": "1/15360",
        "model": "shapes",
        "task": "detect",
        "classes": SHAPES,
        "tracked": True,
        **fields,
    }
    return AnalysisDescription(**values)


def row(frame_index: int = 0, ordinal: int = 0, **fields: Any) -> DetectionRow:
    values = {
        "pts_us": frame_index * 40_000,
        "class_id": 0,
        "track_id": 1,
        "confidence": 0.75,
        "x1": 1.5,
        "y1": 2.5,
        "x2": 30.25,
        "y2": 40.75,
        "shape": None,
        **fields,
    }
    return DetectionRow(frame_index=frame_index, ordinal=ordinal, **values)


def frames(count: int) -> list[AnalysedFrame]:
    return [AnalysedFrame(index, index * 40_000) for index in range(count)]


def written(
    name: str, rows: list[DetectionRow], *, of: AnalysisDescription | None = None, count: int = 3
) -> bytes:
    return b"".join(FORMATS[name].write(of or description(), frames(count), rows))


def single(value: float) -> float:
    """The float32 nearest to a number."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
pixels = st.floats(-16, 4096, width=32)
confidences = st.floats(0, 1, width=32)
# Whatever a text column of PostgreSQL can hold.
names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12)
odd_names = names | st.sampled_from(
    ['a "quoted" name', "two\r\nlines", "with,comma", "\u2028", "=1+1", "人", "é\t"]
)


@st.composite
def analyses(draw: st.DrawFn) -> tuple[AnalysisDescription, list[DetectionRow]]:
    """An analysis with odd class names, some frames without detections and some detections without a track."""
    classes = tuple(draw(st.lists(odd_names, min_size=1, max_size=4, unique=True)))
    per_frame = draw(st.lists(st.integers(0, 3), max_size=5))
    rows = [
        DetectionRow(
            frame_index=frame_index,
            ordinal=ordinal,
            pts_us=draw(st.integers(-(2**40), 2**40)),
            class_id=draw(st.integers(0, len(classes) - 1)),
            track_id=draw(st.none() | st.integers(1, 2**31 - 1)),
            confidence=draw(confidences),
            x1=draw(pixels),
            y1=draw(pixels),
            x2=draw(pixels),
            y2=draw(pixels),
            shape=None,
        )
        for frame_index, count in enumerate(per_frame)
        for ordinal in range(count)
    ]
    return description(classes=classes), rows
