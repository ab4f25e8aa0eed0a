"""Decoding: a file becomes upright frames with the stream's own time, and a report of what was in it."""

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Self, cast

import av.error
import numpy as np
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.sidedata.sidedata import Type as SideDataType
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from batch_job.container import best_video_stream, declared_end_us, open_container, step_us
from batch_job.errors import VideoEmpty, VideoWithoutFrames
from batch_job.orientation import Orientation
from batch_job.sampling import choice_for, expected_frames
from batch_job.tally import DecodeTally
from batch_job.timeline import Slots, in_order
from batch_job.values import Frame, Image
from contract.options import AnalysisOptions
from contract.results import DecodeReport

_READ_ERRORS_IN_A_ROW = 64  # a file that only yields errors must end


class Video:
    """An opened file. A context manager; not shared between threads except one after the other."""

    def __init__(self, path: Path) -> None:
        """Raises VideoEmpty or VideoUnreadable."""
        if os.path.getsize(path) == 0:
            raise VideoEmpty
        self._path = path
        self._container = open_container(path)
        try:
            self._stream = best_video_stream(self._container)
        except BaseException:
            self._container.close()
            raise
        self._tally = DecodeTally()
        # FFmpeg orders the times of other codecs in AVI itself.
        avi_h264 = (self._container.format.name, self._stream.codec_context.name) == ("avi", "h264")
        self._slots = Slots() if avi_h264 else None
        self._orientations: dict[int, tuple[Orientation, VideoFrame]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def first_picture(self) -> Image:
        """The first frame that can be decoded, upright. Raises VideoWithoutFrames."""
        with Video(self._path) as fresh:
            for frame in fresh.frames(AnalysisOptions()):
                return frame.image
            raise VideoWithoutFrames(fresh.whereabouts())

    def expected_frames(self, options: AnalysisOptions) -> int | None:
        """How many frames will be analysed if the header is right."""
        stream, time_base = self._stream, self._stream.time_base
        duration_us = None
        if stream.duration is not None and time_base is not None:
            duration_us = to_microseconds(stream.duration, time_base)
        elif self._container.duration is not None:
            duration_us = self._container.duration  # in AV_TIME_BASE units, which are microseconds
        declared = stream.frames or None
        if declared is None and duration_us is not None and stream.average_rate:
            declared = round(duration_us * stream.average_rate / 1_000_000)
        return expected_frames(options, declared=declared, duration_us=duration_us)

    def frames(self, options: AnalysisOptions, *, start: int = 0) -> Iterator[Frame]:
        """Analysed frames from index `start` on, in stream order. To be called once.

        Those before `start` are decoded, counted and not converted. A place that cannot be decoded is skipped and
        reported; the frames around it keep their own time.
        """
        chosen = choice_for(options)
        tally = self._tally
        for pts_us, decoded in in_order(self._timed(), tally.lose):
            tally.add_frame(
                pts_us=pts_us,
                width=decoded.width,
                height=decoded.height,
                orientation=self._orientation_of(decoded),
            )
            if not chosen(pts_us):
                continue
            index = tally.analysed
            tally.analysed += 1
            if index >= start:
                yield Frame(index=index, pts_us=pts_us, image=self._upright(decoded))

    def pictures_at(self, times_us: Iterable[int]) -> Iterator[tuple[int, Image]]:
        """The pictures shown at exactly these times, each with its time; a time no frame has is left out.

        Decoding starts anew, from the key frame before each time. What that does not find (raw streams cannot
        seek, and damage may hide a key frame) is looked for from the beginning.
        """
        missing: set[int] = set()
        with Video(self._path) as fresh:
            for wanted in sorted(set(times_us)):
                found = fresh._sought(wanted)
                if found is None:
                    missing.add(wanted)
                else:
                    yield wanted, fresh._upright(found)
        if missing:
            with Video(self._path) as fresh:
                for frame in fresh.frames(AnalysisOptions()):
                    if frame.pts_us in missing:
                        missing.remove(frame.pts_us)
                        yield frame.pts_us, frame.image
                    if not missing:
                        return

    def report(self) -> DecodeReport:
        """Complete once `frames` has ended."""
        return self._tally.report(
            container=self._container.format.name,
            codec=self._stream.codec_context.name,
            time_base=str(self._stream.time_base),
            declared=self._stream.frames or None,
            declared_end_us=declared_end_us(self._container, self._stream),
            step_us=round(step_us(self._stream)),
        )

    def whereabouts(self) -> str:
        """Container, codec and the first damage, for the log."""
        codec = self._stream.codec_context.name
        reasons = "; ".join(place.reason for place in self._tally.skipped[:1]) or "no packet of video"
        return f"{self._container.format.name}, {codec}, {reasons}"

    def _sought(self, wanted_us: int) -> VideoFrame | None:
        time_base = self._stream.time_base
        if time_base is None:
            return None
        ticks = int(Fraction(wanted_us, 1_000_000) / time_base)
        try:
            self._container.seek(ticks, stream=self._stream)
        except av.error.MemoryError:
            raise
        except av.error.FFmpegError:
            return None
        if self._slots is not None:
            self._slots = Slots()
        for frame in self._decoded():
            if frame.pts is None:
                return None
            pts_us = to_microseconds(frame.pts, time_base)
            if pts_us >= wanted_us:
                return frame if pts_us == wanted_us else None
        return None

    def _decoded(self) -> Iterator[VideoFrame]:
        """Raises MemoryError, which is the machine's fault: taken for damage, it would cost the frame for good."""
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
                self._tally.lose(exc.strerror or "cannot be decoded")
                continue
            for frame in frames:
                if not isinstance(frame, VideoFrame):
                    continue
                if self._slots is not None and frame.pts is not None:
                    frame.pts = self._slots.take(frame.pts, key=bool(frame.key_frame))
                if frame.is_corrupt:
                    self._tally.lose("the picture is damaged")
                else:
                    yield frame

    def _packets(self) -> Iterator["Packet[VideoStream]"]:
        """Packets of the stream, over damaged places, and at the end the empty one that drains the decoder."""
        errors = 0
        while True:
            try:
                for packet in self._container.demux(self._stream):
                    errors = 0
                    self._count(packet)
                    yield packet
                return
            except av.error.EOFError:
                return
            except av.error.MemoryError:
                raise
            except av.error.FFmpegError as exc:
                # Demuxing ends with the error; asked again, it goes on behind the damage where there is a behind.
                errors += 1
                if errors == 1:
                    self._tally.skip(exc.strerror or "cannot be read")
                if errors == _READ_ERRORS_IN_A_ROW:
                    return

    def _upright(self, frame: VideoFrame) -> Image:
        image = frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False)
        return self._orientation_of(frame).upright(image)

    def _orientation_of(self, frame: VideoFrame) -> Orientation:
        """Looked up again only when the angle changes: reading side data ties a frame into a reference cycle.

        Such a frame is kept. Freed whenever the collector comes by, its memory would go back to the decoder at
        another moment each time, and where a picture is damaged, what lay in that memory may show.
        """
        if frame.rotation not in self._orientations:
            self._orientations[frame.rotation] = _display_matrix(frame), frame
        return self._orientations[frame.rotation][0]

    def _timed(self) -> Iterator[tuple[int, VideoFrame]]:
        """Raw streams tell no time; their frames follow one another at the declared rate, the first at 0."""
        step = step_us(self._stream)
        known_us, untold = 0, 0  # the last time that was told, and the frames since then
        for frame in self._decoded():
            time_base = frame.time_base or self._stream.time_base
            if frame.pts is not None and time_base is not None:
                known_us, untold = to_microseconds(frame.pts, time_base), 0
            yield known_us + round(untold * step), frame
            untold += 1

    def _count(self, packet: "Packet[VideoStream]") -> None:
        """Those that an edit list hides are decoded for the others' sake and give no frame."""
        if not packet.size or packet.is_discard:
            return
        end_us = None
        if packet.pts is not None and packet.time_base is not None:
            end_us = to_microseconds(packet.pts + (packet.duration or 0), packet.time_base)
        self._tally.add_packet(end_us=end_us)
        if packet.is_corrupt:
            self._tally.skip("bytes are missing")


def to_microseconds(ticks: int, time_base: Fraction) -> int:
    """Exact rational arithmetic; halves go to the even neighbour."""
    return round(Fraction(ticks * time_base.numerator * 1_000_000, time_base.denominator))


def _display_matrix(frame: VideoFrame) -> Orientation:
    for data in cast("Iterable[SideData]", frame.side_data):
        if data.type is SideDataType.DISPLAYMATRIX:
            return Orientation.from_matrix(bytes(data))
    return Orientation()
