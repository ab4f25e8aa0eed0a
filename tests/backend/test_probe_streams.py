"""What the probe makes of a transport stream that shows more streams on the way."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np

from backend.probe.inside import _first_picture


def test_stream_that_comes_to_light_on_the_way_changes_nothing(tmp_path: Path):
    """PyAV may stumble over it at the end, by what lies in memory behind a list of its own."""
    with av.open(str(tmp_path / "a.ts"), "w") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            picture = np.full((48, 64, 3), 20 * number, np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        output.mux(stream.encode(None))
    with av.open(str(tmp_path / "a.ts")) as container:

        def demux(video: Any) -> Iterator[Any]:
            yield from container.demux(video)
            raise IndexError("list index out of range")

        stumbling = SimpleNamespace(demux=demux, format=container.format)
        picture, packets, _ = _first_picture(stumbling, container.streams.video[0], 60)
    assert packets == 10
    assert picture is not None
