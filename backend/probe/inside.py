"""The confined process: opens what its parent feeds it, decodes one picture, tells what it saw, and ends.

On standard output it asks for bytes (`{"read": [offset, length]}`, one line each) and at last tells its findings;
on standard input come eight bytes of length, big-endian, and then so many bytes.
"""

import io
import json
import os
import sys
import traceback
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, cast

# PyAV imports some of them when it first needs them; by then nothing can be imported any more.
import av
import av.audio.codeccontext
import av.audio.stream
import av.error
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from backend.probe.confinement import confine
from contract.errors import ErrorCode
from contract.videos import CONTAINERS, PIXELS_AT_MOST, orientation

CPU_SECONDS = 20

_PACKETS_AT_MOST = 600  # looked at for a picture that can be decoded; the job looks further
_PACKETS_WEIGHED = 60  # for an estimate, where nothing else tells the length


class Refused(Exception):
    """This is no video that can be analysed."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Fed(io.RawIOBase):
    """The object in S3, as far as the parent reads it."""

    def __init__(self, size_bytes: int) -> None:
        self._size = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        tell({"read": [self._position, len(view)]})
        count = int.from_bytes(_received(memoryview(bytearray(8))), "big")
        _received(view[:count])
        self._position += count
        return count

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position


def main() -> None:
    extent, size_bytes, memory_mib = sys.argv[-3], int(sys.argv[-2]), int(sys.argv[-1])
    confined = confine(cpu_seconds=CPU_SECONDS, memory_bytes=memory_mib * 1024**2)
    try:
        tell({"confined": confined, "facts": look(Fed(size_bytes), size_bytes, extent == "beginning")})
    except Refused as exc:
        tell({"confined": confined, "refused": exc.code.value, "detail": str(exc)[:500]})
    except MemoryError:
        tell({"confined": confined, "refused": ErrorCode.VIDEO_TOO_COMPLEX.value, "detail": "memory"})
    except Exception:  # noqa: BLE001 - there is no other way out for what it has to say
        tell({"confined": confined, "fault": traceback.format_exc()[-4000:]})


def look(file: Fed, size_bytes: int, beginning: bool) -> dict[str, Any]:
    """From the `beginning` alone, the length is an estimate. Raises Refused, and MemoryError."""
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "none"}
    if beginning:
        options["fflags"] = "+ignidx"
    try:
        container = av.open(
            file,
            mode="r",
            container_options=options,
            metadata_errors="replace",
        )
    except av.error.MemoryError:
        raise
    except (av.error.FFmpegError, ValueError) as exc:
        raise Refused(ErrorCode.VIDEO_UNREADABLE, str(exc)) from None
    with container:
        stream = _picture_stream(container)
        untold = beginning or (stream.duration is None and container.duration is None and not stream.frames)
        picture, packets, packet_bytes = _first_picture(container, stream, _PACKETS_WEIGHED if untold else 1)
        rotation = 0 if picture is None else _rotation(picture)
        context = stream.codec_context
        width, height = (context.width, context.height) if picture is None else (picture.width, picture.height)
        if rotation in (90, 270):
            width, height = height, width
        if untold:
            duration_us, frames = _estimate(stream, size_bytes, packets, packet_bytes)
        else:
            duration_us, frames = _length(container, stream)
        return {
            "container": container.format.name,
            "codec": context.codec.canonical_name,
            "width": width,
            "height": height,
            "rotation_degrees": rotation,
            "duration_us": duration_us,
            "frames": frames,
            "estimated": untold,
        }


def _picture_stream(container: InputContainer) -> VideoStream:
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
        raise Refused(ErrorCode.VIDEO_UNREADABLE, f"{container.format.name} without a video stream")
    context = stream.codec_context
    if context is None or context.codec is None:
        raise Refused(ErrorCode.VIDEO_UNREADABLE, f"{container.format.name} with a codec nobody here can decode")
    if context.width * context.height > PIXELS_AT_MOST:
        raise Refused(ErrorCode.VIDEO_TOO_LARGE, f"{context.width} × {context.height}")
    context.thread_count = 1
    context.options = {"max_pixels": str(PIXELS_AT_MOST)}
    return stream


def _first_picture(
    container: InputContainer, stream: VideoStream, enough: int
) -> tuple[VideoFrame | None, int, int]:
    """The first picture that can be decoded, and number and bytes of the packets that were looked at.

    With a picture, `enough` packets are looked at.

    None where there may be one further on: what cannot be told here is left to the job. Raises Refused where the
    whole file was looked at.
    """
    picture, packets, packet_bytes = None, 0, 0
    try:
        for packet in container.demux(stream):
            packets, packet_bytes = packets + bool(packet.size), packet_bytes + packet.size
            if picture is None:
                picture = _decoded(packet)
            if packets >= (_PACKETS_AT_MOST if picture is None else enough):
                return picture, packets, packet_bytes
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        return picture, packets, packet_bytes  # damage, behind which the job may go on
    except IndexError:  # at the end, of PyAV, over a stream that came to light meanwhile
        pass
    if picture is None:
        raise Refused(ErrorCode.VIDEO_WITHOUT_FRAMES, f"{container.format.name}, {packets} packets")
    return picture, packets, packet_bytes


def _decoded(packet: Any) -> VideoFrame | None:
    try:
        return next((frame for frame in packet.decode() if isinstance(frame, VideoFrame)), None)
    except av.error.MemoryError:
        raise
    except av.error.FFmpegError:
        return None


def _rotation(picture: VideoFrame) -> int:
    """Clockwise degrees to stand upright: 0, 90, 180 or 270."""
    for data in cast("Iterable[SideData]", picture.side_data):
        if data.type is SideDataType.DISPLAYMATRIX:
            return orientation(bytes(data))[0]
    return 0


def _length(container: InputContainer, stream: VideoStream) -> tuple[int | None, int | None]:
    """Microseconds and frames, as the file tells them."""
    duration, rate = None, _rate(stream)
    if stream.duration is not None and stream.time_base is not None:
        duration = stream.duration * stream.time_base
    elif container.duration is not None:
        duration = Fraction(container.duration, 1_000_000)
    elif rate:
        duration = stream.frames / rate
    frames = stream.frames or (round(duration * rate) if duration is not None and rate else None)
    return None if duration is None else round(duration * 1_000_000), frames


def _estimate(
    stream: VideoStream, size_bytes: int, packets: int, packet_bytes: int
) -> tuple[int | None, int | None]:
    """Microseconds and frames, as if all of the file were like its first packets."""
    rate = _rate(stream)
    frames = round(size_bytes * packets / packet_bytes) if packet_bytes else None
    return round(frames / rate * 1_000_000) if frames and rate else None, frames


def _rate(stream: VideoStream) -> Fraction | None:
    return stream.average_rate or stream.guessed_rate


def tell(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _received(view: memoryview) -> memoryview:
    """Filled from standard input. Raises EOFError when the parent has gone."""
    filled = 0
    while filled < len(view):
        part = os.read(0, len(view) - filled)
        if not part:
            raise EOFError
        view[filled : filled + len(part)] = part
        filled += len(part)
    return view
