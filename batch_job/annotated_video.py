"""A copy of the video with the boxes drawn in: H.264 in MP4, which every browser plays."""

import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from batch_job.thumbnails import annotated
from batch_job.values import Frame, FrameResult, Image

_LONGEST_SIDE = 1920  # pixels: beyond it the encoder is what one waits for, and small machines cannot play it

_MICROSECONDS = Fraction(1, 1_000_000)
_FIRST_STEP_US = 40_000  # how long the only frame of a video is shown
_LONGEST_STEP_US = 2_000_000_000  # FFmpeg writes no step of 2^31 or more; this is a good half hour
_CONTAINER = {
    "movflags": "+faststart",  # what a player needs to know stands before the pictures
    "movie_timescale": "1000000",  # else the time of the first frame is rounded to milliseconds
}
_ENCODER = {
    "preset": "veryfast",
    "crf": "23",
    "bf": "0",  # frames in the order they are shown: their times need no edit list, which some players ignore
    "threads": "4",  # not the number of cores: on another machine, another number would give other bytes
}


def with_boxes(
    frames: Iterable[Frame], results: Iterator[FrameResult], classes: Sequence[str], *, task: str
) -> Iterator[tuple[int, Image]]:
    """Every frame of a stream, with its time, from the first analysed one on.

    A frame that was not analysed shows the boxes of the last one that was: boxes in one frame of many would only
    be seen as flicker. The price is that in a sampled analysis they trail behind what moves.
    """
    shown, coming = None, next(results, None)
    for frame in frames:
        while coming is not None and coming.pts_us <= frame.pts_us:
            shown, coming = coming, next(results, None)
        if shown is not None:
            yield frame.pts_us, annotated(frame.image, shown, classes, task=task, longest_side=_LONGEST_SIDE)


def write_mp4(path: Path, frames: Iterable[tuple[int, Image]]) -> None:
    """Encodes at least one picture, (height, width, 3), BGR, each with its time in microseconds, which rises.

    Times are kept, so that a variable rate stays one and the video's clock is that of the detections. MP4 has no
    time before zero: a stream that begins there begins at zero. Where a clock leaps ahead by more than MP4 can
    tell, the picture comes half an hour after the one before, and the time goes on from there. All pictures have
    one size; odd sides grow by one pixel, which H.264 with 4:2:0 needs.
    """
    with av.open(os.fspath(path), "w", format="mp4", options=_CONTAINER) as output:
        stream: VideoStream | None = None
        before_us = now_us = 0
        step_us = _FIRST_STEP_US
        for pts_us, image in frames:
            if stream is None:
                stream = _stream_for(output, image)
                now_us = max(pts_us, 0)
            else:
                step_us = min(pts_us - before_us, _LONGEST_STEP_US)
                now_us += step_us
            before_us = pts_us
            frame = _encodable(image)
            frame.pts, frame.time_base, frame.duration = now_us, _MICROSECONDS, step_us
            output.mux(stream.encode(frame))
        if stream is not None:
            output.mux(stream.encode(None))


def _stream_for(output: OutputContainer, image: Image) -> VideoStream:
    stream = output.add_stream("libx264", rate=25, options=_ENCODER)
    height, width = image.shape[:2]
    stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
    context = stream.codec_context
    stream.time_base = context.time_base = _MICROSECONDS
    # Said, because players guess BT.601 or BT.709 by the size where nothing is.
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def _encodable(image: Image) -> VideoFrame:
    height, width = image.shape[:2]
    picture = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(picture, np.uint8), format="bgr24")
    return frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
