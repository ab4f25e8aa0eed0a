"""Files go straight to the storage by presigned URLs: small ones in one piece, large ones in parts.

The storage is told the SHA256 of what it should receive, and refuses anything else.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

import httpx

from .errors import StorageRefused
from .models import Video
from .transport import Transport, pause_after

_PIECE = 1024 * 1024  # bytes that are read and sent at a time

Sent = Callable[[int], None]


class Uploading:
    """One upload. Every method raises StorageRefused, ApiError, Unreachable."""

    def __init__(self, transport: Transport, file: BinaryIO, size: int, sent: Sent) -> None:
        self._transport = transport
        self._file = file
        self._size = size
        self._sent = sent

    def in_one_piece(self, whole: Mapping[str, Any], headers: Mapping[str, str]) -> Video:
        checksum = _base64(self._digest(0, self._size))
        started = self._start({**whole, "checksum_algorithm": "SHA256", "checksum": checksum}, headers)
        self._send(started["upload"], 0, self._size, lambda: self._signed(started)["upload"])
        return self._finish(started, {})

    def in_parts(self, whole: Mapping[str, Any], headers: Mapping[str, str]) -> Video:
        started = self._start({**whole, "checksum_algorithm": "SHA256", "multipart": True}, headers)
        cut, digests = started["parts"], b""
        for number in range(1, cut["count"] + 1):
            offset = (number - 1) * cut["size_bytes"]
            length = min(cut["size_bytes"], self._size - offset)
            digest = self._digest(offset, length)
            digests += digest
            part = {"number": number, "checksum": _base64(digest)}
            # Signed when its turn comes: a URL is good for an hour, and the parts before may take longer.
            self._send(None, offset, length, partial(self._signed_part, started, part))
        return self._finish(started, {"checksum": _base64(hashlib.sha256(digests).digest())})

    def _start(self, body: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        return cast(dict[str, Any], self._transport.ask("POST", "/api/videos", body=body, headers=headers).json())

    def _signed(self, started: Mapping[str, Any], *parts: Mapping[str, Any]) -> dict[str, Any]:
        body = {"parts": list(parts)} if parts else {}
        return cast(dict[str, Any], self._transport.ask("POST", started["links"]["sign"], body=body).json())

    def _signed_part(self, started: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
        return cast(Mapping[str, Any], self._signed(started, part)["parts"][0])

    def _finish(self, started: Mapping[str, Any], body: Mapping[str, Any]) -> Video:
        """200 or, while the file is being looked at, 202."""
        return cast(Video, self._transport.settled("POST", started["links"]["finish"], body=body))

    def _send(
        self, upload: Mapping[str, Any] | None, offset: int, length: int, sign: Callable[[], Mapping[str, Any]]
    ) -> None:
        tries = self._transport.tries
        for attempt in range(1, tries + 1):
            upload = upload or sign()
            if self._put(upload, offset, length, last=attempt == tries):
                self._sent(length)
                return
            upload = None
            self._transport.sleep(pause_after(attempt))

    def _put(self, upload: Mapping[str, Any], offset: int, length: int, *, last: bool) -> bool:
        """False where another try is worth while."""
        # The length is told: the storage takes no chunked transfer encoding.
        headers = {**upload["headers"], "Content-Length": str(length)}
        pieces = self._pieces(offset, length)
        try:
            with self._transport.storage() as storage:
                answer = storage.request(upload["method"], upload["url"], headers=headers, content=pieces)
        except httpx.TransportError as exc:
            if last:
                raise StorageRefused(f"the storage cannot be reached: {exc or type(exc).__name__}") from exc
            return False
        # 403 is for a URL that has expired, and RequestTimeout, which is a 400, for a connection that stood still.
        passing = answer.status_code == 403 or answer.status_code >= 500 or "<Code>RequestTimeout<" in answer.text
        if not answer.is_success and (last or not passing):
            raise StorageRefused(f"the storage answered {answer.status_code}: {answer.text[:500]}")
        return answer.is_success

    def _digest(self, offset: int, length: int) -> bytes:
        digest = hashlib.sha256()
        for piece in self._pieces(offset, length):
            digest.update(piece)
        return digest.digest()

    def _pieces(self, offset: int, length: int) -> Iterator[bytes]:
        self._file.seek(offset)
        left = length
        while left and (piece := self._file.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def upload(
    transport: Transport, path: Path, body: Mapping[str, Any], once: Mapping[str, str], sent: Sent
) -> Video:
    with path.open("rb") as file:
        uploading = Uploading(transport, file, body["size_bytes"], sent)
        return uploading.in_parts(body, once) if body["multipart"] else uploading.in_one_piece(body, once)
