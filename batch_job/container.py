"""Opening: only containers that carry their own pictures, and of those the stream a player would show."""

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import av.error
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from batch_job.arriving import ArrivingFile
from batch_job.errors import RuntimeMismatch, VideoUnreadable
from contract.videos import CONTAINERS, PIXELS_AT_MOST

logger = logging.getLogger(__name__)

_CLOCK = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d{1,9})?)", re.ASCII)  # a duration in Matroska's tags
_FALLBACK_STEP_US = 40_000  # where nothing tells a rate
_SOUND_MAY_OUTLAST_US = 1_000_000  # pictures by so much, in a file that is whole
_READ_BYTES = 1 << 18
_REASONS = {  # what FFmpeg logs, and what that means
    "not on whitelist": "files of its kind are not accepted: it is a playlist, a picture, sound or the like",
    "moov atom not found": "it has no index: it was cut off, or is no video at all",
}


def open_container(file: Path | ArrivingFile, *, on_gpu: bool = False) -> InputContainer:
    """`on_gpu` decodes with NVDEC what it can decode, and the rest on the CPU; pictures come to the CPU's memory.

    Raises VideoUnreadable, and RuntimeMismatch where no GPU can be had. MemoryError and PermissionError, which
    FFmpeg tells like damage, stay what they are.
    """
    try:
        return av.open(
            file.opened() if isinstance(file, ArrivingFile) else os.fspath(file),
            mode="r",
            buffer_size=_READ_BYTES,
            hwaccel=HWAccel("cuda", allow_software_fallback=True) if on_gpu else None,
            container_options={"format_whitelist": CONTAINERS, "protocol_whitelist": "file"},
            metadata_errors="replace",  # a title in an unknown encoding is no reason to refuse a video
        )
    except av.error.MemoryError:
        raise
    except (av.error.FFmpegError, ValueError) as exc:
        if on_gpu:  # whose fault is it?
            open_container(file).close()
            raise RuntimeMismatch("FFmpeg finds no GPU that its CUDA and this machine's driver can use") from exc
        if isinstance(exc, av.error.PermissionError) and exc.errno == errno.EACCES:  # EPERM is -1, a parser's no
            raise
        logger.info("the file cannot be opened", extra={"error": str(exc)})
        raise VideoUnreadable(_reason(exc)) from exc


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
    context.options = {"max_pixels": str(PIXELS_AT_MOST)}
    return stream


def _reason(error: Exception) -> str:
    """For whoever brought the file; FFmpeg's own words name paths and error numbers, and are for the log."""
    *_, said = getattr(error, "log", None) or ("",)
    for theirs, ours in _REASONS.items():
        if theirs in said:
            return ours
    return "it does not begin as a video does, or its beginning is damaged"


def packets_of(container: InputContainer, stream: VideoStream) -> Iterator["Packet[VideoStream]"]:
    """The stream's packets, and at the end the empty one that drains its decoder.

    A transport stream may show more streams on the way. PyAV then reads beyond the end of a list of its own,
    and may stumble over a stream that it does not know, once it has drained those that it does.
    """
    with suppress(IndexError):
        yield from container.demux(stream)


def declared_end_us(container: InputContainer, stream: VideoStream) -> int | None:
    """When the last picture ends by the header's own account, in microseconds; None where it says nothing.

    Of other formats FFmpeg knows the duration only from their last packets, which say nothing of what is missing.
    """
    kind, *_ = container.format.name.split(",")
    time_base = stream.time_base or Fraction(0)
    start_us = round((stream.start_time or 0) * time_base * 1_000_000)
    if kind in ("mov", "mxf") and stream.duration:
        return start_us + round(stream.duration * time_base * 1_000_000)
    if kind == "avi" and stream.frames:
        return round(stream.frames * time_base * 1_000_000)
    if kind == "matroska" and (own := _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))):
        hours, minutes, seconds = own.groups()
        return round((3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)) * 1_000_000)
    if kind in ("matroska", "flv") and container.duration:
        alone = kind == "matroska" and len(container.streams) == 1
        return container.duration - (0 if alone else _SOUND_MAY_OUTLAST_US)
    return None


def step_us(stream: VideoStream) -> Fraction:
    """Microseconds from one frame to the next, as far as the header can be believed."""
    rate = stream.average_rate or stream.guessed_rate
    return 1_000_000 / rate if rate else Fraction(_FALLBACK_STEP_US)
