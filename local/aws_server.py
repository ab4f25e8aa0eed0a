"""Plays S3, SQS and Secrets Manager on a socket that it inherits: `python -m local.aws_server --fd 3`."""

import argparse
import sys
import time
from typing import Any

import moto.sqs.models
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import MotoRequestHandler
from moto.sqs.models import Message, SQSBackend
from werkzeug.serving import make_server


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--fd", type=int, required=True, help="of the socket, which listens already")
    given = parser.parse_args()
    _make_queues_cheap()
    # The address is the socket's own, whatever is said here.
    server = make_server(
        "127.0.0.1",
        0,
        _Application(create_backend_app),
        threaded=True,
        request_handler=MotoRequestHandler,
        fd=given.fd,
    )
    server.serve_forever()
    return 0


class _Application(DomainDispatcherApplication):
    """Looks a host up once: moto lists a folder of its package and tries some 200 patterns at each request."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._backends: dict[str | None, Any] = {}

    def get_backend_for_host(self, host: str | None) -> Any:
        if host not in self._backends:
            self._backends[host] = super().get_backend_for_host(host)
        return self._backends[host]


def _make_queues_cheap() -> None:
    """moto looks at all messages of a queue several times for each one that is sent or received, and makes three
    objects to tell the time: more work than all else that 50 requests a second give to this machine.
    """
    SQSBackend.is_message_valid_based_on_retention_period = _is_kept  # type: ignore[method-assign]
    moto.sqs.models.unix_time = time.time  # type: ignore[assignment]
    moto.sqs.models.unix_time_millis = _milliseconds  # type: ignore[assignment]


def _is_kept(self: SQSBackend, queue_name: str, message: Message) -> bool:
    """As moto has it, without all other attributes of the queue."""
    kept: int = self.get_queue(queue_name).message_retention_period  # type: ignore[attr-defined]
    return bool(kept + message.sent_timestamp / 1000 > time.time())  # type: ignore[operator]


def _milliseconds() -> float:
    return 1000 * time.time()


if __name__ == "__main__":
    sys.exit(main())
