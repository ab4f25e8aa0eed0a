"""Decoding: packets become pictures with the stream's own time, over damaged places, and are counted."""

import logging
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self, cast

import av.error
import av.logging
import numpy as np
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from batch_job.arriving import ArrivingFile
from batch_job.container import best_video_stream, open_container, packets_of, step_us
from batch_job.errors import VideoUnreadable
from batch_job.orientation import Orientation
from batch_job.tally import DecodeTally
from batch_job.timeline import Slots, end_us, in_order, to_microseconds
from batch_job.values import Image

UNDECODABLE = "the picture cannot be decoded"
OF_NO_KNOWN_DECODER = "the picture uses a part of its codec that no decoder here knows"
_NOT_IMPLEMENTED = (av.error.PatchWelcomeError, av.error.NotImplementedError)
_READ_ERRORS_IN_A_ROW = 64  # a file that only yields errors must end

# FFmpeg mends damaged pictures and says so in its log alone. PyAV counts its errors once they are let through, and
# hands them to Python's logging, where they end.
av.logging.set_level(av.logging.ERROR)
logging.getLogger("libav").setLevel(logging.CRITICAL + 1)


class Decoder:
    """One pass through a file. A context manager; not shared between threads except one after the other."""

    def __init__(self, file: Path | ArrivingFile, *, on_gpu: bool = False) -> None:
        """Raises VideoUnreadable."""
        self.container = open_container(file, on_gpu=on_gpu)
        try:
            self.stream = best_video_stream(self.container)
        except BaseException:
            self.container.close()
            raise
        self.tally = DecodeTally()
        self._logged, _ = av.logging.get_last_error()
        # FFmpeg orders the times of other codecs in AVI itself.
        avi_h264 = (self.container.format.name, self.stream.codec_context.name) == ("avi", "h264")
        self._slots = Slots() if avi_h264 else None
        self._orientations: dict[int, tuple[Orientation, VideoFrame]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    def pictures(self) -> Iterator[tuple[int, VideoFrame]]:
        """Each picture with its time in microseconds, which rises. What cannot be had is told to the tally.

        Raises MemoryError, which is the machine's fault: taken for damage, it would cost the frame for good.
        """
        return in_order(self._timed(), self.tally.lose)

    def count(self, pts_us: int, picture: VideoFrame) -> None:
        """The picture is one of the video's frames."""
        orientation = self._orientation_of(picture)
        self.tally.add_frame(pts_us=pts_us, width=picture.width, height=picture.height, orientation=orientation)

    def seek(self, time_us: int) -> bool:
        """Goes to the key frame at or before the time, if the file allows it."""
        time_base = self.stream.time_base
        if time_base is None:
            return False
        try:
            self.container.seek(round(Fraction(time_us, 1_000_000) / time_base), stream=self.stream)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            return False
        if self._slots is not None:
            self._slots = Slots()
        return True

    def complaints(self) -> int:
        """How often damage showed so far, also where FFmpeg mended it and only logged an error."""
        return len(self.tally.skipped) + self.tally.more_skipped + av.logging.get_last_error()[0] - self._logged

    def upright(self, picture: VideoFrame) -> Image:
        """Raises VideoUnreadable where FFmpeg knows no way from the picture's format to BGR."""
        try:
            image = picture.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError as exc:
            raise VideoUnreadable(f"its pictures are {picture.format.name}, which cannot be converted") from exc
        return self._orientation_of(picture).upright(image)

    def _timed(self) -> Iterator[tuple[int, VideoFrame]]:
        """Raw streams tell no time; their frames follow one another at the declared rate, the first at 0."""
        step = step_us(self.stream)
        known_us, untold = 0, 0  # the last time that was told, and the frames since then
        for frame in self._decoded():
            time_base = frame.time_base or self.stream.time_base
            if frame.pts is not None and time_base is not None:
                known_us, untold = to_microseconds(frame.pts, time_base), 0
            yield known_us + round(untold * step), frame
            untold += 1

    def _decoded(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            if self._slots is not None and packet.pts is not None:
                self._slots.add(packet.pts)
            try:
                frames = packet.decode()
            except av.error.EOFError:
                continue
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError as exc:
                unknown = isinstance(exc, _NOT_IMPLEMENTED)
                self.tally.lose(OF_NO_KNOWN_DECODER if unknown else UNDECODABLE)
                continue
            for frame in frames:
                if not isinstance(frame, VideoFrame):
                    continue
                if self._slots is not None and frame.pts is not None:
                    frame.pts = self._slots.take(frame.pts, key=bool(frame.key_frame))
                if frame.is_corrupt:
                    self.tally.lose("the picture is damaged")
                else:
                    yield frame

    def _packets(self) -> Iterator["Packet[VideoStream]"]:
        """Packets of the stream, over damaged places, and at the end the empty one that drains the decoder."""
        errors = 0
        while True:
            try:
                for packet in packets_of(self.container, self.stream):
                    errors = 0
                    self._count(packet)
                    yield packet
                return
            except av.error.EOFError:
                return
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError:
                # Demuxing ends with the error; asked again, it goes on behind the damage where there is a behind.
                errors += 1
                if errors == 1:
                    self.tally.skip("the file cannot be read here")
                if errors == _READ_ERRORS_IN_A_ROW:
                    return

    def _count(self, packet: "Packet[VideoStream]") -> None:
        """Those that an edit list hides are decoded for the others' sake and give no frame."""
        if not packet.size or packet.is_discard:
            return
        self.tally.add_packet(end_us=end_us(packet))
        if packet.is_corrupt:
            self.tally.skip("bytes are missing")

    def _orientation_of(self, frame: VideoFrame) -> Orientation:
        """Looked up again only when the angle changes: reading side data ties a frame into a reference cycle.

        Such a frame is kept. Freed whenever the collector comes by, its memory would go back to the decoder at
        another moment each time, and where a picture is damaged, what lay in that memory may show.
        """
        if frame.rotation not in self._orientations:
            self._orientations[frame.rotation] = _display_matrix(frame), frame
        return self._orientations[frame.rotation][0]


def _display_matrix(frame: VideoFrame) -> Orientation:
    for data in cast("Iterable[SideData]", frame.side_data):
        if data.type is SideDataType.DISPLAYMATRIX:
            return Orientation.from_matrix(bytes(data))
    return Orientation()
