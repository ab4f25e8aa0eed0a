"""A video: frames upright, of one size and at their own time, from wherever one begins, and a report of them."""

import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from itertools import dropwhile, islice
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from av.video.frame import VideoFrame

from batch_job.arriving import ArrivingFile
from batch_job.container import declared_end_us, step_us
from batch_job.decoding import Decoder
from batch_job.endings import torn
from batch_job.errors import OutOfStep, VideoEmpty, VideoWithoutFrames
from batch_job.frame_index import FrameIndex, read_index
from batch_job.letterbox import Shape
from batch_job.sampling import choice_for, expected_frames
from batch_job.tally import DecodeTally
from batch_job.timeline import to_microseconds
from batch_job.values import Frame, Image
from contract.options import AnalysisOptions
from contract.results import DecodeReport

_KEYS_TRIED = 3  # a transport stream is sought by the place of its bytes, and may be entered too late


class Video:
    """An opened file. A context manager; not shared between threads except one after the other."""

    def __init__(self, file: Path | ArrivingFile, *, on_gpu: bool = False) -> None:
        """`on_gpu` lets the GPU decode what is analysed; single pictures come from the CPU's decoder.

        Raises VideoEmpty or VideoUnreadable.
        """
        if (file.size if isinstance(file, ArrivingFile) else os.path.getsize(file)) == 0:
            raise VideoEmpty
        self._file = file
        self._on_gpu = on_gpu
        self._decoder = Decoder(file, on_gpu=on_gpu)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.__exit__()

    @cached_property
    def shape(self) -> Shape:
        """Height and width of the first frame that can be decoded, upright. Raises VideoWithoutFrames.

        A stream may change its size on the way. Players go on in the rectangle they began with, and so do all
        pictures here: boxes in pixels of this one frame are then boxes of every frame, and a track goes on.
        """
        with Decoder(self._file) as decoder:
            for _, picture in decoder.pictures():
                image = decoder.upright(picture)
                return image.shape[0], image.shape[1]
            raise VideoWithoutFrames(_whereabouts(decoder))

    def all_frames(self) -> Generator[Frame, None, None]:
        """Every frame of the stream, whatever is analysed; decoding starts anew."""
        with Decoder(self._file) as decoder:
            for number, (pts_us, picture) in enumerate(decoder.pictures()):
                yield Frame(index=number, pts_us=pts_us, image=self._fitted(decoder, picture))

    def expected_frames(self, options: AnalysisOptions) -> int | None:
        """How many frames will be analysed if the header is right."""
        stream, container = self._decoder.stream, self._decoder.container
        duration_us = None
        if stream.duration is not None and stream.time_base is not None:
            duration_us = to_microseconds(stream.duration, stream.time_base)
        elif container.duration is not None:
            duration_us = container.duration  # in AV_TIME_BASE units, which are microseconds
        declared = stream.frames or None
        if declared is None and duration_us is not None and stream.average_rate:
            declared = round(duration_us * stream.average_rate / 1_000_000)
        return expected_frames(options, declared=declared, duration_us=duration_us)

    def exact_frames(self, options: AnalysisOptions) -> int | None:
        """How many frames will be analysed unless decoding meets damage; None where only decoding can tell."""
        return self._index.analysed_frames(options) if self._index is not None else None

    def frames(self, options: AnalysisOptions, *, start: int = 0, after_us: int | None = None) -> Iterator[Frame]:
        """Analysed frames from index `start` on, in stream order. To be called once.

        A place that cannot be decoded is skipped and reported; the frames around it keep their own time.

        `after_us` is the time of the analysed frame before `start`, given only if nothing was skipped up to there:
        decoding then begins at a key frame, and goes on from there as long as it gives what the container
        promises. Else those before `start` are decoded, counted and not converted.
        """
        index = self._index if start and after_us is not None else None
        if index is not None and index.time_before(options, start) == after_us:
            total = index.analysed_frames(options)
            start, complete = yield from self._promised(index, options, start, total)
            if complete:
                self.shared_out(options)
                return
            self._begin_anew()
        decoder, chosen = self._decoder, choice_for(options)
        for pts_us, picture in decoder.pictures():
            decoder.count(pts_us, picture)
            if not chosen(pts_us):
                continue
            number = decoder.tally.analysed
            decoder.tally.analysed += 1
            if number >= start:
                yield Frame(index=number, pts_us=pts_us, image=self._fitted(decoder, picture))

    def share(self, options: AnalysisOptions, *, start: int, stop: int) -> Iterator[Frame]:
        """Analysed frames from index `start` to before `stop`, of a video whose `exact_frames` are known.

        To be called once. Raises OutOfStep where decoding does not give each of them at its time: their indices
        are then not known without everything before them. `frames` may be called then.
        """
        if self._index is None:
            raise OutOfStep
        _, complete = yield from self._promised(self._index, options, start, stop)
        if not complete:
            self._begin_anew()
            raise OutOfStep

    def pictures_at(self, times_us: Iterable[int]) -> Iterator[tuple[int, Image]]:
        """The pictures shown at exactly these times, each with its time; a time no frame has is left out.

        Decoding starts anew, from the key frame before each time. What that does not find (raw streams cannot
        seek, and damage may hide a key frame) is looked for from the beginning.
        """
        missing: set[int] = set()
        with Decoder(self._file) as decoder:
            for wanted in sorted(set(times_us)):
                found = _picture_at(decoder, wanted)
                if found is None:
                    missing.add(wanted)
                else:
                    yield wanted, self._fitted(decoder, found)
        if missing:
            with Decoder(self._file) as decoder:
                for pts_us, picture in decoder.pictures():
                    if pts_us in missing:
                        missing.remove(pts_us)
                        yield pts_us, self._fitted(decoder, picture)
                    if not missing:
                        return

    def report(self) -> DecodeReport:
        """Complete once `frames` has ended, or the shares of everybody."""
        stream, container = self._decoder.stream, self._decoder.container
        path = self._file
        if isinstance(path, ArrivingFile):  # FFmpeg does not ask for what comes behind the last picture
            path.wait_for(path.size - 1)
            path = path.path
        return self._decoder.tally.report(
            container=container.format.name,
            codec=stream.codec_context.name,
            time_base=str(stream.time_base),
            declared=stream.frames or None,
            declared_end_us=declared_end_us(container, stream),
            step_us=round(step_us(stream)),
            torn=torn(path, container.format.name),
        )

    def damaged(self) -> bool:
        """Has anything been skipped so far, or mended?"""
        return self._decoder.complaints() > 0

    def shared_out(self, options: AnalysisOptions) -> None:
        """Makes `report` speak of the whole video: every frame was decoded, each by whose share it was in."""
        if self._index is None:
            raise OutOfStep
        self._decoder.tally = self._whole_tally(self._index, self._index.analysed_frames(options))

    def whereabouts(self) -> str:
        """Container, codec and the first damage, for the log."""
        return _whereabouts(self._decoder)

    def _fitted(self, decoder: Decoder, picture: VideoFrame) -> Image:
        image = decoder.upright(picture)
        if image.shape[:2] != self.shape:
            height, width = self.shape
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        return image

    def _begin_anew(self) -> None:
        self._decoder.__exit__()
        self._decoder = Decoder(self._file, on_gpu=self._on_gpu)

    @cached_property
    def _index(self) -> FrameIndex | None:
        return read_index(self._file)

    def _promised(
        self, index: FrameIndex, options: AnalysisOptions, start: int, stop: int
    ) -> Generator[Frame, None, tuple[int, bool]]:
        """Analysed frames from `start` to before `stop`, decoded from a key frame on.

        Returns the number of the frame that would come next, and whether all is as the index says: if not, the
        frame before it is the last that can be trusted. Of a damaged picture the decoder shows what it still has
        of others, and that depends on where decoding began.
        """
        total = index.analysed_frames(options)
        position, chosen = index.place_before(options, start)
        end = index.place_before(options, stop)[0] + 1 if stop < total else len(index.pts_us)
        decoded = self._pictures_behind(index, position) if start else self._decoder.pictures()
        # Not those before: entered in the middle, a transport stream begins with pictures that lack others.
        complaints = self._decoder.complaints()
        for wanted_us in index.pts_us[position + 1 : end].tolist():
            pts_us, picture = next(decoded, (None, None))
            if picture is None or pts_us != wanted_us or self._decoder.complaints() != complaints:
                return start, False
            if chosen(wanted_us):
                yield Frame(index=start, pts_us=wanted_us, image=self._fitted(self._decoder, picture))
                start += 1
        ended = stop < total or next(decoded, None) is None
        return start, ended and self._decoder.complaints() == complaints

    def _pictures_behind(self, index: FrameIndex, position: int) -> Iterator[tuple[int, VideoFrame]]:
        """What is decoded behind the frame at `position`; nothing where no key frame leads to that frame."""
        keys = index.keys_before(position)
        expected = index.pts_us[index.pts_us.searchsorted(keys[0]) : position + 1].tolist()
        for key_us in keys[:_KEYS_TRIED]:
            if self._decoder.seek(key_us):
                decoded = self._decoder.pictures()
                from_key = dropwhile(lambda timed: timed[0] < keys[0], decoded)
                if [pts_us for pts_us, _ in islice(from_key, len(expected))] == expected:
                    return decoded
        return iter(())

    def _whole_tally(self, index: FrameIndex, analysed: int) -> DecodeTally:
        """What is counted once every frame is decoded and nothing was skipped."""
        with Decoder(self._file) as decoder:
            for pts_us, picture in islice(decoder.pictures(), 1):
                decoder.count(pts_us, picture)
            return replace(
                decoder.tally,
                packets=len(index.pts_us),
                ends_us=index.ends_us,
                decoded=len(index.pts_us),
                analysed=analysed,
                last_pts_us=int(index.pts_us[-1]),
                skipped=[],
            )


def _picture_at(decoder: Decoder, wanted_us: int) -> VideoFrame | None:
    if not decoder.seek(wanted_us):
        return None
    for pts_us, picture in decoder.pictures():
        if pts_us >= wanted_us:
            return picture if pts_us == wanted_us else None
    return None


def _whereabouts(decoder: Decoder) -> str:
    codec = decoder.stream.codec_context.name
    reasons = "; ".join(place.reason for place in decoder.tally.skipped[:1]) or "no packet of video"
    return f"{decoder.container.format.name}, {codec}, {reasons}"
