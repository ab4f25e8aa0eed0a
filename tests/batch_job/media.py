"""Small real videos, made when a test asks for them: squares that move over grey, each frame at a known time."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from batch_job.values import Frame
from batch_job.video import Video
from contract.options import AnalysisOptions
from contract.results import DecodeReport

Picture = NDArray[np.uint8]
MILLISECONDS = Fraction(1, 1000)
_EVERY_FRAME = AnalysisOptions()

# BGR; bright and pure, so that the colour network of `models.py` knows them, also after compression
RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)
SIDE = 32  # pixels of a square, and the cell of the colour network


def squares(*cells: tuple[int, int, tuple[int, int, int]], width: int = 160, height: int = 96) -> Picture:
    """A dark picture with a square in each of the cells (column, row, colour)."""
    picture = np.full((height, width, 3), 16, np.uint8)
    for column, row, colour in cells:
        picture[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = colour
    return picture


def marching(frames: int) -> list[Picture]:
    """A red square goes to the right and comes back; a green one stays; some frames show a blue one."""
    columns = [0, 1, 2, 3, 4, 3, 2, 1]
    return [
        squares(
            (columns[number // 6 % 8], 0, RED),
            (2, 1, GREEN),
            *([(number // 9 % 5, 2, BLUE)] if number % 7 < 5 else []),
        )
        for number in range(frames)
    ]


def numbered(frames: int, *, width: int = 64, height: int = 48) -> list[Picture]:
    """Each frame has a brightness of its own, which `number_of` reads."""
    return [np.full((height, width, 3), 24 + 8 * (number % 28), np.uint8) for number in range(frames)]


def number_of(picture: Picture) -> int:
    """Which one of the first 28 of `numbered` it is, also after compression."""
    return round((float(picture.mean()) - 24) / 8)


_BARS = 6


def bar_coded(number: int, *, width: int = 96, height: int = 48) -> Picture:
    """A picture that says which one of 64 it is: in upright bars above, and once more inverted below."""
    picture = np.full((height, width, 3), 16, np.uint8)
    half, bar = height // 2, width // _BARS
    for place in range(_BARS):
        upper, lower = (232, 24) if number >> place & 1 else (24, 232)
        picture[:half, place * bar : (place + 1) * bar] = upper
        picture[half:, place * bar : (place + 1) * bar] = lower
    return picture


def is_picture(found: Picture, made: Picture) -> bool:
    """Also after compression. Pictures of different numbers differ by 69 at least where the bars are."""
    if found.shape != made.shape:
        return False
    return float(np.abs(found.astype(np.int16) - made).mean()) < 17


def write_video(
    path: Path,
    pictures: Sequence[Picture],
    *,
    pts: Callable[[int], int] = lambda number: 40 * number,
    time_base: Fraction = MILLISECONDS,
    rate: Fraction | int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    rotation: int = 0,
    hflip: bool = False,
    vflip: bool = False,
    container: str | None = None,
    movflags: str = "",
    sound_first: bool = False,
) -> Path:
    """Encodes `pictures`; frame n is shown at pts(n) ticks of `time_base`. `rotation` is counter-clockwise.

    `rate` is only what the header says. With `sound_first`, a tenth of a second of silence is the first stream.
    """
    height, width = pictures[0].shape[:2]
    with av.open(str(path), "w", format=container, options={"movflags": movflags} if movflags else {}) as output:
        sound = output.add_stream("aac", rate=8000) if sound_first else None
        stream = output.add_stream(codec, rate=rate, options={"threads": "1"} | (options or {}))
        stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
        stream.time_base = time_base
        stream.codec_context.time_base = time_base
        if rotation or hflip or vflip:
            stream.set_display_rotation(rotation, hflip=hflip, vflip=vflip)
        if sound is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            silence.sample_rate = 8000
            output.mux(sound.encode(silence))
            output.mux(sound.encode(None))
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="bgr24")
            frame.pts, frame.time_base = pts(number), time_base
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def decode(
    path: Path, options: AnalysisOptions = _EVERY_FRAME, *, start: int = 0
) -> tuple[list[Frame], DecodeReport]:
    """What the analyser sees of a video."""
    with Video(path) as video:
        frames = list(video.frames(options, start=start))
        return frames, video.report()
