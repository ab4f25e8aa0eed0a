"""What the Lambda tells the backend's worker, in the queue of AWS Batch's own job events and in their envelope."""

import json
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

SOURCE = "framebatch.lambda"
_REFUSED, _FOUND = "Request Refused", "Job Found"


class NoticeInvalid(ValueError):
    """The message says that it comes from the Lambda, and cannot be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestRefused:
    """No delivery will ever make a job of this message. `body` is kept to the letter."""

    message_id: str
    body: str
    fault: str  # for operators

    def to_json(self) -> str:
        return _enveloped(_REFUSED, asdict(self))


@dataclass(frozen=True, kw_only=True, slots=True)
class JobFound:
    """A message came again, and its job is there: whoever has heard nothing of that job now knows whom to ask."""

    analysis_id: UUID
    job_id: str
    job_name: str

    def to_json(self) -> str:
        return _enveloped(_FOUND, {**asdict(self), "analysis_id": str(self.analysis_id)})


Notice = RequestRefused | JobFound


def notice_in(event: object) -> Notice | None:
    """None for an event, parsed from its JSON, of anybody else. Raises NoticeInvalid."""
    if not isinstance(event, dict) or event.get("source") != SOURCE:
        return None
    kind, detail = event.get("detail-type"), event.get("detail")
    if not isinstance(detail, dict):
        raise NoticeInvalid(f"{kind!r} has no detail")
    try:
        if kind == _REFUSED:
            return RequestRefused(**{name: _text(detail, name) for name in ("message_id", "body", "fault")})
        if kind == _FOUND:
            names = {name: _text(detail, name) for name in ("job_id", "job_name")}
            return JobFound(analysis_id=UUID(_text(detail, "analysis_id")), **names)
    except (KeyError, TypeError, ValueError) as exc:
        raise NoticeInvalid(f"the detail of {kind!r} is incomplete") from exc
    raise NoticeInvalid(f"there is no notice {kind!r}")


def _enveloped(kind: str, detail: dict[str, Any]) -> str:
    return json.dumps({"source": SOURCE, "detail-type": kind, "detail": detail}, sort_keys=True)


def _text(detail: dict[str, Any], name: str) -> str:
    value = detail[name]
    if not isinstance(value, str):
        raise TypeError(name)
    return value
