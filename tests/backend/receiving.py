"""A receiver of webhooks on this machine, which answers as it is told and keeps what it got.

What there is to tell it, too.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from django.db import connection
from django.utils import timezone

from backend.videos.models import Analysis
from backend.webhooks.delivering import Sender
from backend.webhooks.models import Attempt, Delivery
from backend.webhooks.sending import Outcome, send


@dataclass(frozen=True, kw_only=True)
class Received:
    path: str
    headers: dict[str, str]  # by lower-case name
    body: bytes


@dataclass(kw_only=True)
class Receiver:
    url: str = ""
    answers: list[int] = field(default_factory=list)  # one after the other, then `otherwise`
    otherwise: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay_seconds: float = 0.0  # or until `goes_on` is set
    goes_on: threading.Event = field(default_factory=threading.Event)
    received: list[Received] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].rstrip("/"))


@contextlib.contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            named = {name.lower(): value for name, value in self.headers.items()}
            receiver.received.append(Received(path=self.path, headers=named, body=body))
            receiver.goes_on.wait(receiver.delay_seconds)
            self.send_response(receiver.answers.pop(0) if receiver.answers else receiver.otherwise)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(receiver.body)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            pass  # a client that refuses the certificate

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    receiver.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.goes_on.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def end(analysis: Analysis, status: str = "succeeded") -> None:
    """As the job does, with SQL of its own."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE videos_analysis SET status = %s WHERE id = %s", [status, analysis.pk])
        cursor.execute(
            "INSERT INTO videos_analysisevent (analysis_id, at, status, source, detail)"
            " VALUES (%s, clock_timestamp(), %s, 'job', '{}')",
            [analysis.pk, status],
        )


def deliver_once() -> int:
    """Sends what is due; how many requests that took."""
    before = Attempt.objects.count()
    with contextlib.closing(Sender()) as sender:
        while sender():
            pass
    return Attempt.objects.count() - before


def sent(url: str, *, allow_loopback: bool = False, body: bytes = b"{}") -> Outcome:
    return asyncio.run(send(url, headers={"X-Test": "1"}, body=body, allow_loopback=allow_loopback))


def later() -> None:
    """What waits for its next attempt has waited long enough."""
    Delivery.objects.update(not_before=timezone.now(), claimed_until=None)
