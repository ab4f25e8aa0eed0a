"""One event, one line, with what identifies it."""

import logging

import pytest

from backend.config.logs import EventFormatter


def formatted(**extra: object) -> str:
    record = logging.makeLogRecord(
        {"name": "backend.videos", "levelname": "INFO", "msg": "analysis %s", "args": ("queued",), **extra}
    )
    return EventFormatter().format(record)


def test_line_has_time_level_event_and_identities():
    line = formatted(analysis_id="a-1", frames=3)
    assert line[10:11] == "T"
    assert line.split(" ", 1)[1] == "INFO backend.videos analysis queued analysis_id=a-1 frames=3"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("two words", '"two words"', id="spaces"),
        pytest.param("a\nINFO forged line", '"a\\nINFO forged line"', id="line break"),
        pytest.param("", '""', id="empty"),
    ],
)
def test_value_cannot_break_the_line(value: str, expected: str):
    """A file name or reason comes from outside."""
    assert formatted(reason=value).endswith(f" reason={expected}")


def test_request_is_not_logged():
    """Its repr holds the query string, which may hold a cursor or worse."""
    assert "secret" not in formatted(request="<GET /?token=secret>")
