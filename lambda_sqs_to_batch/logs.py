"""Log lines for CloudWatch Logs Insights: one JSON object each, on standard output.

Lambda passes such lines on as they are, in both of its log formats, and reads `timestamp` and `level` out of them.
"""

import json
from datetime import UTC, datetime


class EventLog:
    """Its lines all carry the same fields, by which a request is followed from one service to the next."""

    def __init__(self, **fields: object) -> None:
        self._fields = fields

    def bound(self, **fields: object) -> "EventLog":
        return EventLog(**self._fields, **fields)

    def info(self, event: str, **fields: object) -> None:
        self._write("INFO", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        self._write("WARN", event, fields)

    def error(self, event: str, **fields: object) -> None:
        self._write("ERROR", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, object]) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"timestamp": at, "level": level, "event": event, **self._fields, **fields}
        print(json.dumps(line, default=str), flush=True)
