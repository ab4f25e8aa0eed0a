"""HTTP with an API key, and with patience: what may succeed when it is asked again is asked again."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from .errors import ApiError, Unreachable

_AWAY = frozenset({502, 503, 504})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0  # seconds


class Transport:
    """Asks every request up to `tries` times; each has to be harmless when it arrives twice."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout: float,
        tries: int,
        transport: httpx.BaseTransport | None,
        sleep: Callable[[float], None],
    ) -> None:
        self.sleep = sleep
        self.tries = tries
        self._transport = transport
        # No proxy and no netrc of the environment: an API key goes to the server that was named, and nowhere else.
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}", "Accept": "application/json"},
            timeout=timeout,
            trust_env=False,
            transport=transport,
        )

    def storage(self) -> httpx.Client:
        """For presigned URLs; without the API key, which is not the storage's business."""
        return httpx.Client(timeout=60.0, trust_env=False, transport=self._transport)

    def close(self) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer, which is no error: nor is 404 where an earlier try has deleted it, of which no answer came.

        Raises ApiError, Unreachable.
        """
        for attempt in range(1, self.tries + 1):
            last = attempt == self.tries
            try:
                response = self._http.request(method, path, json=body, params=query, headers=headers)
            except httpx.TransportError as exc:
                if last:
                    raise Unreachable(f"{method} {path}: {exc or type(exc).__name__}") from exc
                self.sleep(pause_after(attempt))
                continue
            gone = method == "DELETE" and attempt > 1 and response.status_code == httpx.codes.NOT_FOUND
            if gone or not response.is_error:
                return response
            error = error_of(response)
            # A plan's own limits are 429 as well, and do not pass by waiting a moment.
            if last or not (response.status_code in _AWAY or error.code == "throttled"):
                raise error
            self.sleep(pause_after(attempt) if error.retry_after is None else error.retry_after)
        raise AssertionError("unreachable: the last attempt returns or raises")

    def settled(self, method: str, path: str, *, body: Any) -> Any:
        """What is answered in the end by an endpoint that answers 202 while it is not known yet."""
        answer = self.ask(method, path, body=body)
        while answer.status_code == httpx.codes.ACCEPTED:
            self.sleep(retry_after(answer) or 1.0)
            answer = self.ask("GET", answer.json()["links"]["self"])
        return answer.json()

    def stream(self, path: str, headers: Mapping[str, str]) -> Any:
        """A context manager of an answer whose body is read piece by piece."""
        return self._http.stream("GET", path, headers=headers)


def error_of(response: httpx.Response) -> ApiError:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": f"{response.status_code} {response.reason_phrase}"}
    return ApiError(problem, status=response.status_code, retry_after=retry_after(response))


def retry_after(response: httpx.Response) -> float | None:
    """Seconds; the API gives no dates."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else None


def pause_after(attempt: int) -> float:
    """Doubling, with chance in it, so that many clients do not come back at the same moment."""
    most: float = min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
    return most * random.uniform(0.5, 1)
