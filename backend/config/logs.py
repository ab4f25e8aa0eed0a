"""One event, one line: time, level, logger, event, then its identities as key=value."""

import json
import logging
import re
from datetime import UTC, datetime

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
# What Django attaches to its own records is not an identity, and a request's repr may hold a query string.
_NOT_IDENTITIES = frozenset({"request", "server_time", "status_code", "alias", "params", "sql", "duration"})

_LINK_TO_A_NEW_PASSWORD = re.compile(r"(/password/new/[^/]+/)[^/?]+")


class EventFormatter(logging.Formatter):
    """`2026-01-01T12:00:00.000Z INFO backend.videos.relay messages sent count=3`"""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
        identities = "".join(
            f" {name}={_value(value)}"
            for name, value in sorted(record.__dict__.items())
            if name not in _STANDARD and name not in _NOT_IDENTITIES
        )
        event = record.getMessage().replace("\n", "\\n")
        line = f"{at.replace('+00:00', 'Z')} {record.levelname} {record.name} {event}{identities}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class WithoutTokens(logging.Filter):
    """Takes out of a server's access log what would let its readers set a password that somebody has forgotten."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _LINK_TO_A_NEW_PASSWORD.sub(r"\1...", part) if isinstance(part, str) else part
                for part in record.args
            )
        return True


def _value(value: object) -> str:
    text = str(value)
    return text if text and text.isprintable() and " " not in text else json.dumps(text)
