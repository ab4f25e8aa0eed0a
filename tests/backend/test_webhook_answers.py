"""Whatever a receiver answers, it costs us little and is told in a sentence."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from backend.webhooks import sending
from tests.backend.receiving import receiving, sent

pytestmark = pytest.mark.usefixtures("loopback")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(status: int):
    with receiving() as elsewhere, receiving() as receiver:
        receiver.answers, receiver.headers = [status], {"Location": elsewhere.url}
        outcome = sent(receiver.url, allow_loopback=True)
        assert (outcome.status, outcome.delivered) == (status, False)
        assert elsewhere.received == []


def test_a_receiver_that_is_slow_or_sends_without_end_is_left(monkeypatch: pytest.MonkeyPatch):
    with receiving() as receiver:
        receiver.headers, receiver.body = {"Content-Length": str(10**15)}, b"x" * 50_000_000
        assert sent(receiver.url, allow_loopback=True).delivered
    with receiving() as receiver:
        receiver.delay_seconds = 600
        monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.3)
        outcome = sent(receiver.url, allow_loopback=True)
        assert (outcome.status, outcome.error) == (None, "No answer came within 0.3 seconds.")
        assert 250 <= outcome.milliseconds < 60_000


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("begins", "goes_on"),
    [
        pytest.param(b"", b"HTTP/1.1 100 Continue\r\n\r\n", id="interim answers"),
        pytest.param(b"", b"a" * 1000, id="no status line"),
        pytest.param(b"", b"\r\n", id="empty lines"),
        pytest.param(HEAD, b"X-Name: value\r\n", id="headers"),
        pytest.param(HEAD + b"X-Name: ", b"a" * 1000, id="one header"),
        pytest.param(HEAD, b"\0\xff" * 500, id="what is no header"),
    ],
)
def test_an_answer_without_end_costs_little(begins: bytes, goes_on: bytes):
    """Read until the time is over, it would cost a processor for as long."""
    with flooding(begins, goes_on * 100) as port:
        outcome = sent(f"http://127.0.0.1:{port}/", allow_loopback=True)
    assert (outcome.status, outcome.delivered) == (None, False)
    assert outcome.error.startswith("The request failed: ")
    assert len(outcome.error) <= 300
    assert "\0" not in outcome.error, "PostgreSQL would not take it"


@contextlib.contextmanager
def flooding(begins: bytes, goes_on: bytes) -> Iterator[int]:
    """The port of a receiver that begins its answer so and never ends it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError), listening.accept()[0] as client:
                client.recv(65536)
                client.sendall(begins)
                while True:
                    client.sendall(goes_on)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(timeout=5)


def test_a_receiver_that_dribbles_is_left(monkeypatch: pytest.MonkeyPatch):
    """Each byte comes in time, and the answer never."""
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 1.0)

    def serve(listening: socket.socket) -> None:
        with contextlib.suppress(OSError), listening.accept()[0] as client:
            for byte in HEAD + b"X-Name: " + b"a" * 1000:
                client.sendall(bytes([byte]))
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, args=[listening], daemon=True).start()
        outcome = sent(f"http://127.0.0.1:{listening.getsockname()[1]}/", allow_loopback=True)
    assert (outcome.status, outcome.error) == (None, "No answer came within 1 seconds.")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        pytest.param("http://127.0.0.1:9/", "failed", id="nobody listens"),
        pytest.param("http://127.0.0.1:0/", "failed", id="no such port"),
    ],
)
def test_what_fails_is_said(url: str, words: str):
    outcome = sent(url, allow_loopback=True)
    assert outcome.status is None
    assert words in outcome.error
