"""What a program of a user does with the REST API: upload, ask, wait."""

import base64
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from contract.statuses import TERMINAL

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.2
_SIGNED_AT_ONCE = 20  # URLs are good for an hour
_IN_PARTS_FROM_BYTES = 64 * 1024**2  # what is smaller is held in memory


class RequestRefused(Exception):
    """The API answered with a problem document."""

    def __init__(self, problem: dict[str, Any]) -> None:
        fields = problem.get("errors") or {}
        details = [f"{name}: {' '.join(sentences)}" for name, sentences in fields.items()]
        super().__init__(" ".join([str(problem.get("detail") or problem.get("title")), *details]))
        self.problem = problem


class VideoRefused(Exception):
    """The uploaded file cannot be analysed."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error


class Client:
    """Closes its connections as a context manager. Every call raises RequestRefused or httpx.TransportError."""

    def __init__(self, url: str, api_key: str) -> None:
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Api-Key {api_key}"}, timeout=30, trust_env=False
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def upload(self, path: Path, content_type: str = "video/mp4") -> str:
        """Gives the video's id, once it is known what is in the file. The bytes go straight to S3.

        Raises VideoRefused for a file that cannot be analysed.
        """
        size = path.stat().st_size
        whole = {"filename": path.name, "size_bytes": size, "content_type": content_type}
        with path.open("rb") as file:
            if size > _IN_PARTS_FROM_BYTES:
                started, checksum = self._in_parts(whole, file)
            else:
                started, checksum = self._in_one_piece(whole, file), {}
        state = self._call("POST", started["links"]["finish"], checksum)
        while state["status"] == "probing":
            time.sleep(_POLL_SECONDS)
            state = self._call("GET", state["links"]["self"])
        if state["error"]:
            raise VideoRefused(state["error"])
        return str(state["id"])

    def _in_one_piece(self, whole: dict[str, Any], file: BinaryIO) -> dict[str, Any]:
        content = file.read()
        checksum = _base64(hashlib.sha256(content))
        started = self._call("POST", "/api/videos", whole | {"checksum_algorithm": "SHA256", "checksum": checksum})
        _put(started["upload"], content)
        return started

    def _in_parts(self, whole: dict[str, Any], file: BinaryIO) -> tuple[dict[str, Any], dict[str, Any]]:
        """Also the checksum of the parts' checksums."""
        started = self._call("POST", "/api/videos", whole | {"checksum_algorithm": "SHA256", "multipart": True})
        size, count = started["parts"]["size_bytes"], started["parts"]["count"]
        digests = [hashlib.sha256(file.read(size)) for _ in range(count)]
        asked = [{"number": n, "checksum": _base64(digest)} for n, digest in enumerate(digests, 1)]
        for first in range(0, count, _SIGNED_AT_ONCE):
            parts = asked[first : first + _SIGNED_AT_ONCE]
            for part in self._call("POST", started["links"]["sign"], {"parts": parts})["parts"]:
                file.seek((part["number"] - 1) * size)
                _put(part, file.read(size))
        return started, {"checksum": _base64(hashlib.sha256(b"".join(digest.digest() for digest in digests)))}

    def request_analysis(self, video_id: str, model: str, options: dict[str, Any] | None = None) -> str:
        """Gives the analysis' id."""
        answer = self._call("POST", "/api/analyses", {"video": video_id, "model": model, "options": options or {}})
        return str(answer["id"])

    def cancel(self, analysis_id: str) -> dict[str, Any]:
        return self._call("POST", f"/api/analyses/{analysis_id}/cancel")

    def retry(self, analysis_id: str) -> dict[str, Any]:
        """Gives the new analysis."""
        return self._call("POST", f"/api/analyses/{analysis_id}/retry")

    def analysis(self, analysis_id: str) -> dict[str, Any]:
        return self._call("GET", f"/api/analyses/{analysis_id}")

    def wait(self, analysis_id: str, seen: Callable[[dict[str, Any]], None], seconds: float) -> dict[str, Any]:
        """Polls until the analysis is terminal and gives its last state. Raises TimeoutError.

        A server that is away for a while is waited for.
        """
        deadline = time.monotonic() + seconds
        state: dict[str, Any] | None = None
        while time.monotonic() < deadline:
            try:
                state = self.analysis(analysis_id)
            except httpx.TransportError as exc:
                logger.info("the server is away: %s", exc)
            except RequestRefused as refusal:
                if refusal.problem.get("status") != httpx.codes.SERVICE_UNAVAILABLE:
                    raise
            if state is not None:
                seen(state)
                if state["status"] in TERMINAL:
                    return state
            time.sleep(_POLL_SECONDS)
        raise TimeoutError(f"analysis {analysis_id} is not over after {seconds:.0f} s")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        response = self._http.request(method, path, json=body)
        if response.is_error:
            try:
                raise RequestRefused(response.json())
            except ValueError:
                raise RequestRefused({"title": f"{response.status_code} {response.reason_phrase}"}) from None
        return dict(response.json())


def _put(upload: dict[str, Any], content: bytes) -> None:
    response = httpx.request(
        upload["method"], upload["url"], headers=upload["headers"], content=content, timeout=None, trust_env=False
    )
    response.raise_for_status()


def _base64(digest: Any) -> str:
    return base64.b64encode(digest.digest()).decode()
