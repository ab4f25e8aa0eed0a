"""Clips to measure with."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np


def cut(source: Path, target: Path, *, frames: int, size: tuple[int, int] | None) -> Path:
    """The first frames of a clip as H.264, scaled to a width and height where they are given."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        stream = reader.streams.video[0]
        rate = Fraction(stream.average_rate or 30)
        width, height = size or (stream.width, stream.height)
        out = writer.add_stream("libx264", rate=rate, options={"preset": "veryfast", "crf": "20"})
        out.width, out.height, out.pix_fmt = width, height, "yuv420p"
        for number, frame in enumerate(islice(reader.decode(stream), frames)):
            scaled = frame.reformat(width=width, height=height, format="yuv420p")
            scaled.pts, scaled.time_base = number, 1 / rate
            writer.mux(out.encode(scaled))
        writer.mux(out.encode(None))
    return target


def long_march(target: Path, *, frames: int) -> Path:
    """160x96 pixels, in which a red square goes from cell to cell: for the colour network of the tests."""
    cells = []
    for column in range(5):
        picture = np.full((96, 160, 3), 16, np.uint8)
        picture[:32, 32 * column : 32 * (column + 1)] = (255, 0, 0)
        picture[32:64, 64:96] = (0, 255, 0)
        cells.append(av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p"))
    with av.open(str(target), "w") as writer:
        out = writer.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        out.width, out.height, out.pix_fmt = 160, 96, "yuv420p"
        for number in range(frames):
            frame = cells[number // 6 % 5]
            frame.pts, frame.time_base = number, Fraction(1, 25)
            writer.mux(out.encode(frame))
        writer.mux(out.encode(None))
    return target
