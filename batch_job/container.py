"""Opening: only containers that carry their own pictures, and of those the stream a player would show."""

import os
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from batch_job.errors import VideoUnreadable

# Containers that carry their own pictures. Playlists and the like (hls, dash, concat, image sequences, ...) are
# left out: they make the decoder open other files and addresses.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,asf,ogg,mxf,nut,dv,"
    "rm,wtv,gif,apng,yuv4mpegpipe"
)
_PIXELS_AT_MOST = 16384 * 8640  # beyond 16K; a header may claim anything


def open_container(path: Path) -> InputContainer:
    """Raises VideoUnreadable; MemoryError, which FFmpeg tells like any damage, stays what it is."""
    try:
        return av.open(
            os.fspath(path),
            container_options={"format_whitelist": FORMATS, "protocol_whitelist": "file"},
            metadata_errors="replace",  # a title in an unknown encoding is no reason to refuse a video
        )
    except av.error.MemoryError:
        raise
    except (av.error.FFmpegError, ValueError) as exc:
        raise VideoUnreadable(str(exc)) from exc


def best_video_stream(container: InputContainer) -> VideoStream:
    """FFmpeg's choice of the best stream, which respects the default flag. Raises VideoUnreadable."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise VideoUnreadable(f"{container.format.name} without a video stream")
    context = stream.codec_context
    if context is None or context.codec is None:
        raise VideoUnreadable(f"{container.format.name} with a codec nobody here can decode")
    # One thread, because with several a damaged stream may give other frames each time it is decoded, and a
    # resumed analysis must see the frames of the first one. On a CPU the network is several times slower than one
    # thread.
    context.thread_count = 1
    context.options = {"max_pixels": str(_PIXELS_AT_MOST)}
    return stream
