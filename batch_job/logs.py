"""One JSON object per line on stderr, each with the analysis it belongs to."""

import json
import logging
import sys
import time

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Whatever a call passes as `extra` becomes a field. Secrets are never passed."""

    def __init__(self, **identity: str) -> None:
        super().__init__()
        self._identity = identity

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        document = {"at": at, "level": record.levelname.lower(), "event": record.getMessage(), **self._identity}
        document.update((name, value) for name, value in vars(record).items() if name not in _STANDARD)
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, default=str)


def configure(*, level: str, analysis_id: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(analysis_id=analysis_id))
    logger = logging.getLogger("batch_job")
    logger.handlers = [handler]
    logger.setLevel(level.upper() if level.upper() in LEVELS else "INFO")
    logger.propagate = False
