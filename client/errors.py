"""What can go wrong. Everything raised here is a FramebatchError."""

from collections.abc import Mapping, Sequence
from typing import Any

from .models import Failure


class FramebatchError(Exception):
    """The API could not do what it was asked."""


class ApiError(FramebatchError):
    """The API refused, with a problem document (RFC 9457)."""

    def __init__(self, problem: Mapping[str, Any], *, status: int, retry_after: float | None = None) -> None:
        self.status = status
        self.code = str(problem.get("code", ""))  # stable; docs/openapi.yaml lists every one
        self.detail = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        self.errors: Mapping[str, Sequence[str]] = problem.get("errors") or {}  # sentences by faulty field
        self.retry_after = retry_after  # seconds
        fields = [f"{name}: {' '.join(sentences)}" for name, sentences in self.errors.items()]
        super().__init__(" ".join([self.detail, *fields]))


class Unreachable(FramebatchError):
    """The server did not answer, also when it was asked again."""


class StorageRefused(FramebatchError):
    """The storage did not take the file."""


class VideoRefused(FramebatchError):
    """The file was uploaded and is no video that can be analysed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure["message"])
        self.code = failure["code"]
        self.retryable = failure["retryable"]


class WaitTimeout(FramebatchError, TimeoutError):
    """What was waited for has not happened in time; it may still."""
