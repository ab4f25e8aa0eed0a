"""The one JSON document that travels from the backend through SQS and the Lambda to the job."""

import json
import math
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

from contract.options import AnalysisOptions, OptionsInvalid
from contract.plans import Plan

VERSION = 1
# As a string of JSON. A job fails at its start, with "Container Overrides length must be at most 8192", where all
# that differs from its definition is longer than that as JSON; what AWS Batch adds to it, such as the name of its
# queue, has the rest: https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_RunTask.html
MOST_CHARACTERS = 7168

LEAST_TIMEOUT_SECONDS = 60  # AWS Batch takes no less


class MessageInvalid(ValueError):
    """The document is not an analysis request this version understands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AnalysisRequest:
    analysis_id: UUID
    video_key: str  # key in the media bucket
    model: str  # name in the runtime manifest
    video_etag: str = ""  # S3's name for the very content that was checked; empty takes whatever is there
    plan: Plan = Plan.FREE
    on_demand: bool = False  # the last attempt, on a machine that nobody takes away
    video_seconds: float | None = None  # the video's length, where it is known
    timeout_seconds: int | None = None  # of one attempt, by the quote; None leaves it to the job definition
    options: AnalysisOptions = field(default_factory=AnalysisOptions)
    version: int = VERSION

    def to_json(self) -> str:
        """Canonical: the same request always gives the same text."""
        return json.dumps(
            {
                "version": self.version,
                "analysis_id": str(self.analysis_id),
                "video_key": self.video_key,
                "video_etag": self.video_etag,
                "model": self.model,
                "plan": self.plan.value,
                "on_demand": self.on_demand,
                "video_seconds": self.video_seconds,
                "timeout_seconds": self.timeout_seconds,
                "options": self.options.to_dict(),
            },
            sort_keys=True,
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises MessageInvalid with one sentence; unknown fields are ignored."""
        if not fits_a_job(text):
            raise MessageInvalid(f"longer than {MOST_CHARACTERS} characters of JSON")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise MessageInvalid("not JSON") from exc
        if not isinstance(document, dict):
            raise MessageInvalid("not a JSON object")
        if document.get("version") != VERSION:
            raise MessageInvalid(f"version {document.get('version')!r} is not understood, only {VERSION}")
        options = document.get("options", {})
        if not isinstance(options, dict):
            raise MessageInvalid("options is not a JSON object")
        try:
            return cls(
                analysis_id=UUID(_text(document, "analysis_id")),
                video_key=_text(document, "video_key"),
                video_etag=_text(document, "video_etag") if document.get("video_etag") else "",
                model=_text(document, "model"),
                plan=Plan(document.get("plan", Plan.FREE)),
                on_demand=_flag(document, "on_demand"),
                video_seconds=_seconds(document.get("video_seconds")),
                timeout_seconds=_timeout(document.get("timeout_seconds")),
                options=AnalysisOptions.from_dict(options),
            )
        except OptionsInvalid as exc:
            raise MessageInvalid(f"options: {exc}") from exc
        except ValueError as exc:
            raise MessageInvalid(str(exc)) from exc


def fits_a_job(text: str) -> bool:
    """Whether a job can be given the request, as one variable of its environment."""
    return len(json.dumps(text)) <= MOST_CHARACTERS


def _seconds(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise MessageInvalid("video_seconds is not a number of seconds")
    return float(value)


def _timeout(value: object) -> int | None:
    if value is None or (
        isinstance(value, int) and not isinstance(value, bool) and value >= LEAST_TIMEOUT_SECONDS
    ):
        return value
    raise MessageInvalid(f"timeout_seconds is not a whole number of at least {LEAST_TIMEOUT_SECONDS}")


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise MessageInvalid(f"{name} is missing or not a text")
    return value


def _flag(document: dict[str, Any], name: str) -> bool:
    value = document.get(name, False)
    if not isinstance(value, bool):
        raise MessageInvalid(f"{name} is neither true nor false")
    return value
