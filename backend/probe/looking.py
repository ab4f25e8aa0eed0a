"""Starts the confined process, feeds it what it asks for, and believes nothing that it says without checking."""

import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from contract.errors import ErrorCode
from contract.videos import PIXELS_AT_MOST

logger = logging.getLogger(__name__)

BLOCK_BYTES = 512 * 1024
BLOCKS_AT_MOST = 256  # 128 MiB: the tables of a day of video, and never the whole of a long one
SILENT_SECONDS = 60.0  # more than its limit of CPU time
# Whatever it does meanwhile: it may ask for ever, or not take what it has asked for. Two such looks take less than
# the lease of backend/videos/probing.py.
LONGEST_SECONDS = 75.0
_BLOCKS_KEPT = 16
_LINE_BYTES_AT_MOST = 16 * 1024
_LAST_SECONDS = 5.0  # for ending after its last word
_ROOT = Path(__file__).resolve().parents[2]
# Isolated, Python reads no PYTHONPATH, by which an image may tell where its packages are.
_CODE = "import sys; sys.path[:0] = sys.argv[1].split(':'); from backend.probe.inside import main; main()"


class ProbeFailed(Exception):
    """The probe came to no verdict, and the file is not known to be why."""


Read = Callable[[int, int], bytes]  # offset and length -> so many bytes of the object


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoFacts:
    container: str  # FFmpeg's name
    codec: str
    width: int  # of the upright picture, pixels
    height: int
    rotation_degrees: int  # clockwise, what a player turns it by: 0, 90, 180 or 270
    duration_us: int | None
    frames: int | None  # as the header counts them, or duration times rate; only decoding counts
    estimated: bool  # the file tells no length: it is guessed from the size of its first packets

    @classmethod
    def checked(cls, told: Any) -> Self:
        """Raises ValueError."""
        facts = cls(**told) if isinstance(told, dict) and told.keys() == cls.__dataclass_fields__.keys() else None
        if facts is None:
            raise ValueError("fields are missing")
        for name in (facts.container, facts.codec):
            if not (isinstance(name, str) and 0 < len(name) <= 64 and name.isascii() and name.isprintable()):
                raise ValueError("a name is faulty")
        for number in (facts.width, facts.height, facts.duration_us or 0, facts.frames or 0):
            if type(number) is not int or not 0 <= number < 2**62:
                raise ValueError("a number is faulty")
        if facts.rotation_degrees not in (0, 90, 180, 270) or type(facts.estimated) is not bool:
            raise ValueError("rotation or estimate is faulty")
        return facts

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    code: ErrorCode
    detail: str  # for the log


class _Blocks:
    """The object, read in blocks, each once as long as it is remembered."""

    def __init__(self, read: Read, size_bytes: int) -> None:
        self._read = read
        self._size = size_bytes
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._fetched = 0
        self.exhausted = False

    def part(self, offset: int, length: int) -> bytes:
        """At most `length` bytes; none behind the end, and none once enough was read."""
        if not 0 <= offset < self._size or length <= 0:
            return b""
        number, begin = divmod(offset, BLOCK_BYTES)
        return self._block(number)[begin : begin + length]

    def _block(self, number: int) -> bytes:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        if self._fetched == BLOCKS_AT_MOST:
            self.exhausted = True
            return b""
        self._fetched += 1
        start = number * BLOCK_BYTES
        self._kept[number] = self._read(start, min(BLOCK_BYTES, self._size - start))
        if len(self._kept) > _BLOCKS_KEPT:
            self._kept.popitem(last=False)
        return self._kept[number]


def look_at(read: Read, size_bytes: int, *, memory_mib: int) -> VideoFacts | Refusal | None:
    """What kind of video the object is, or why it is none; None where that takes more than a look.

    The process may take `memory_mib`; a file that needs more is refused as too complex.
    Raises ProbeFailed and whatever `read` raises.
    """
    if size_bytes == 0:
        return Refusal(code=ErrorCode.VIDEO_EMPTY, detail="no bytes")
    blocks = _Blocks(read, size_bytes)
    found = _one_look(blocks, size_bytes, "whole", memory_mib)
    if blocks.exhausted:
        # MP4 in fragments has no index: its demuxer visits each of them, of which there may be thousands.
        blocks = _Blocks(read, size_bytes)
        found = _one_look(blocks, size_bytes, "beginning", memory_mib)
    return None if blocks.exhausted and isinstance(found, Refusal) else found


def _one_look(blocks: _Blocks, size_bytes: int, extent: str, memory_mib: int) -> VideoFacts | Refusal:
    places = ":".join([str(_ROOT), *filter(None, sys.path)])
    began = time.monotonic()
    # No credentials, no addresses: it is given nothing of this process's environment.
    with subprocess.Popen(
        [sys.executable, "-I", "-c", _CODE, places, extent, str(size_bytes), str(memory_mib)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
        cwd="/",
        bufsize=0,
    ) as process:
        end = threading.Timer(LONGEST_SECONDS, process.kill)
        end.start()
        try:
            told = _conversation(process, blocks)
        finally:
            end.cancel()
            process.kill()
    if time.monotonic() - began >= LONGEST_SECONDS:
        # The storage may have been as slow, so it says nothing of the file.
        raise ProbeFailed(f"it was not over after {LONGEST_SECONDS:g} seconds")
    return _verdict(told, process.returncode)


def _conversation(process: "subprocess.Popen[bytes]", blocks: _Blocks) -> dict[str, Any] | None:
    """The last thing it says; None if it ends, or falls silent, without a word."""
    assert process.stdin is not None
    while line := _line(process):
        try:
            message = json.loads(line)
            asked = message.get("read")
        except (ValueError, AttributeError, RecursionError):
            return {}
        match asked:
            case None:
                return dict(message)
            case [int(offset), int(length)]:
                part = blocks.part(offset, length)
            case _:
                return {}
        try:
            _send(process.stdin.fileno(), len(part).to_bytes(8, "big") + part)
        except BrokenPipeError:
            break
    with suppress(subprocess.TimeoutExpired):
        process.wait(_LAST_SECONDS)
    return None


def _line(process: "subprocess.Popen[bytes]") -> bytes:
    """Nothing once it has ended, or when it stays silent."""
    assert process.stdout is not None
    descriptor, line = process.stdout.fileno(), b""
    until = time.monotonic() + SILENT_SECONDS
    while not line.endswith(b"\n"):
        if not select.select([descriptor], [], [], max(until - time.monotonic(), 0))[0]:
            process.kill()
            return b""
        part = os.read(descriptor, _LINE_BYTES_AT_MOST)
        line += part
        if not part or len(line) > _LINE_BYTES_AT_MOST:
            return line
    return line


def _send(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _verdict(told: dict[str, Any] | None, returncode: int) -> VideoFacts | Refusal:
    if told is None:
        if returncode == -signal.SIGXCPU or returncode == -signal.SIGKILL:
            return Refusal(code=ErrorCode.VIDEO_TOO_COMPLEX, detail="time")
        if returncode < 0:
            return Refusal(code=ErrorCode.VIDEO_UNREADABLE, detail=signal.strsignal(-returncode) or "a crash")
        raise ProbeFailed(f"it ended with {returncode}")
    if "fault" in told:
        raise ProbeFailed(str(told["fault"])[-4000:])
    if not told.get("confined"):
        logger.warning("this kernel filters no system calls; the probe is held by resource limits alone")
    if "refused" in told:
        return Refusal(code=_code(told["refused"]), detail=str(told.get("detail"))[:500])
    try:
        facts = VideoFacts.checked(told.get("facts"))
    except (TypeError, ValueError) as exc:
        return Refusal(code=ErrorCode.VIDEO_UNREADABLE, detail=f"the probe's answer is faulty: {exc}")
    if facts.width * facts.height > PIXELS_AT_MOST:
        return Refusal(code=ErrorCode.VIDEO_TOO_LARGE, detail=f"{facts.width} × {facts.height}")
    return facts


def _code(told: object) -> ErrorCode:
    try:
        return ErrorCode(str(told))
    except ValueError:
        return ErrorCode.VIDEO_UNREADABLE
