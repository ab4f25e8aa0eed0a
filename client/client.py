"""What a program can ask Framebatch for."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, cast

import httpx

from . import uploading
from .errors import ApiError, Unreachable, VideoRefused, WaitTimeout
from .models import (
    Account,
    Analysis,
    Detection,
    Event,
    LedgerEntry,
    Media,
    Model,
    Options,
    Quote,
    Receipt,
    Second,
    ThumbnailLink,
    Track,
    Video,
)
from .transport import Transport, error_of, retry_after

OVER = frozenset({"succeeded", "failed", "cancelled"})
IN_PARTS_FROM = 64 * 1024 * 1024  # bytes
_POLL_SECONDS = 1.0


class Client:
    """Closes its connections as a context manager. Every method raises ApiError and Unreachable.

    What fails because the server is away, or because it was asked too often, is asked again, up to `tries` times.
    Requests for analyses and uploads carry an idempotency key, so that nothing is made twice thereby.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float = 30.0,
        tries: int = 5,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = Transport(url, api_key, timeout=timeout, tries=tries, transport=transport, sleep=sleep)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    # Videos

    def upload(
        self,
        path: Path,
        *,
        content_type: str = "video/mp4",
        in_parts: bool | None = None,
        sent: Callable[[int], None] = lambda _: None,
    ) -> Video:
        """The video, ready to be analysed; `sent` is told how many bytes have gone, each time some have.

        A file of more than 64 MiB goes in parts, of which only those are sent again that failed.
        Raises StorageRefused, VideoRefused.
        """
        size = path.stat().st_size
        multipart = size > IN_PARTS_FROM if in_parts is None else in_parts
        body = {"filename": path.name, "size_bytes": size, "content_type": content_type, "multipart": multipart}
        video = uploading.upload(self._transport, path, body, _once(None), sent)
        if video["error"] is not None:
            raise VideoRefused(video["error"])
        return video

    def videos(self, **filters: Any) -> Iterator[Video]:
        return self._pages("/api/videos", filters)

    def video(self, video_id: str) -> Video:
        return cast(Video, self._json("GET", f"/api/videos/{video_id}"))

    def delete_video(self, video_id: str) -> None:
        """With all its analyses, which must be over, and everything they found."""
        self._ask("DELETE", f"/api/videos/{video_id}")

    # Analyses

    def quote(self, video_id: str, *, model: str | None = None, options: Options | None = None) -> Quote:
        """What an analysis would cost. Its `quote` may be given to `request_analysis`."""
        body = {"video": video_id, "model": model, "options": options or {}}
        return cast(Quote, self._json("POST", "/api/quotes", body=body))

    def request_analysis(
        self,
        video_id: str,
        *,
        model: str | None = None,
        options: Options | None = None,
        quote: str | None = None,
        idempotency_key: str | None = None,
    ) -> Analysis:
        """The analysis, queued. With a key of your own you can also ask again after your program was restarted."""
        body = {"video": video_id, "model": model, "options": options or {}, "quote": quote}
        return cast(Analysis, self._json("POST", "/api/analyses", body=body, headers=_once(idempotency_key)))

    def analysis(self, analysis_id: str) -> Analysis:
        return cast(Analysis, self._json("GET", f"/api/analyses/{analysis_id}"))

    def analyses(self, **filters: Any) -> Iterator[Analysis]:
        return self._pages("/api/analyses", filters)

    def wait(
        self,
        analysis_id: str,
        *,
        seconds: float | None = None,
        seen: Callable[[Analysis], None] = lambda _: None,
        poll_seconds: float | None = None,
    ) -> Analysis:
        """The analysis when it is over, as succeeded, failed or cancelled. Raises WaitTimeout after `seconds`.

        Asks when the server says that looking again is worth while, or every `poll_seconds`; nothing is sent
        while nothing has changed. `seen` is told each state. A server that is away for a while is waited for.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        state: Analysis | None = None
        tag = ""
        while deadline is None or time.monotonic() < deadline:
            pause = _POLL_SECONDS
            try:
                headers = {"If-None-Match": tag} if tag else {}
                answer = self._ask("GET", f"/api/analyses/{analysis_id}", headers=headers)
                pause = retry_after(answer) or pause
                tag = answer.headers.get("ETag", "")
                if answer.status_code != httpx.codes.NOT_MODIFIED:
                    state = cast(Analysis, answer.json())
            except Unreachable:
                pass
            except ApiError as exc:
                if exc.status < httpx.codes.INTERNAL_SERVER_ERROR:
                    raise
            if state is not None:
                seen(state)
                if state["status"] in OVER:
                    return state
            self._transport.sleep(poll_seconds or pause)
        raise WaitTimeout(f"analysis {analysis_id} is not over after {seconds:.0f} s")

    def cancel(self, analysis_id: str) -> Analysis:
        return cast(Analysis, self._json("POST", f"/api/analyses/{analysis_id}/cancel"))

    def retry(self, analysis_id: str, *, idempotency_key: str | None = None) -> Analysis:
        """A new analysis that asks for the same as one that failed or was cancelled."""
        path = f"/api/analyses/{analysis_id}/retry"
        return cast(Analysis, self._json("POST", path, headers=_once(idempotency_key)))

    def receipt(self, analysis_id: str) -> Receipt:
        """What it was quoted and charged, and which machines worked on it; complete once it is over."""
        return cast(Receipt, self._json("GET", f"/api/analyses/{analysis_id}/receipt"))

    def delete(self, analysis_id: str) -> None:
        self._ask("DELETE", f"/api/analyses/{analysis_id}")

    # What was found. Filters are the parameters of the lists; `class` is written class_.

    def detections(self, analysis_id: str, **filters: Any) -> Iterator[Detection]:
        return self._pages(f"/api/analyses/{analysis_id}/detections", {"page_size": 1000, **filters})

    def tracks(self, analysis_id: str, **filters: Any) -> Iterator[Track]:
        return self._pages(f"/api/analyses/{analysis_id}/tracks", {"page_size": 1000, **filters})

    def seconds(self, analysis_id: str, **filters: Any) -> Iterator[Second]:
        return self._pages(f"/api/analyses/{analysis_id}/seconds", {"page_size": 1000, **filters})

    def events(self, analysis_id: str) -> Iterator[Event]:
        return self._pages(f"/api/analyses/{analysis_id}/events", {})

    def thumbnails(self, analysis_id: str) -> Iterator[ThumbnailLink]:
        return self._pages(f"/api/analyses/{analysis_id}/thumbnails", {})

    def media(self, analysis_id: str) -> Media:
        return cast(Media, self._json("GET", f"/api/analyses/{analysis_id}/media"))

    def export(self, analysis_id: str, export_format: str, path: Path) -> None:
        """Writes all detections into a file, which is there only when it is whole."""
        unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
        link = f"/api/analyses/{analysis_id}/exports/{export_format}"
        try:
            with unfinished.open("xb") as file, self._transport.stream(link, {"Accept": "*/*"}) as answer:
                if answer.is_error:
                    answer.read()
                    raise error_of(answer)
                for piece in answer.iter_bytes():
                    file.write(piece)
            os.replace(unfinished, path)
        except httpx.TransportError as exc:
            raise Unreachable(f"{link} broke off: {exc or type(exc).__name__}") from exc
        finally:
            unfinished.unlink(missing_ok=True)

    # What there is

    def models(self) -> Iterator[Model]:
        return self._pages("/api/models", {})

    def account(self) -> Account:
        """Plan, limits and credits."""
        return cast(Account, self._json("GET", "/api/account"))

    def ledger(self) -> Iterator[LedgerEntry]:
        return self._pages("/api/account/ledger", {})

    def _pages(self, path: str | None, filters: Mapping[str, Any]) -> Iterator[Any]:
        query: dict[str, Any] | None = {name.removesuffix("_"): value for name, value in filters.items()}
        while path:
            page = self._ask("GET", path, query=query).json()
            yield from page["results"]
            path, query = page["next"], None  # the link holds them

    def _json(self, method: str, path: str, **given: Any) -> Any:
        return self._ask(method, path, **given).json()

    def _ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        return self._transport.ask(method, path, **given)


def _once(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key or str(uuid.uuid4())}
