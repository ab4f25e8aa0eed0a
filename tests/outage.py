"""A TCP proxy in front of a real server, which can be told to go away, to hang, and to come back."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from tests.ports import port_of, reserved_port


class Proxy:
    """`refuse()` closes the port and every connection, as a stopped server does; `hang()` takes connections and
    says nothing, as a frozen one does; `restore()` ends both.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._hanging = threading.Event()
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._place = reserved_port()  # so that nobody else gets it while the proxy is away
        self.port = port_of(self._place)
        self.restore()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._place.close()

    def url_of(self, url: str) -> str:
        """The same URL, through this proxy."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def refuse(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in accept()
            listener.close()
        if self._thread is not None:
            self._thread.join(timeout=5)
        with self._lock:
            for connection in list(self._open):
                _close(connection)

    def hang(self) -> None:
        self._hanging.set()

    def restore(self) -> None:
        self._hanging.clear()
        if self._listener is not None:
            return
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._thread = threading.Thread(target=self._accept, args=[self._listener], daemon=True)
        self._thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=[client], daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._kept(client))
            try:
                server = socket.create_connection(self._target)
            except OSError:
                return
            stack.enter_context(self._kept(server))
            with contextlib.suppress(OSError, ValueError):
                self._pump(client, server)

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select(timeout=0.1):
                    if self._hanging.is_set():
                        continue
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)
                if self._hanging.is_set():
                    self._hanging.wait(0.05)

    @contextlib.contextmanager
    def _kept(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._open.add(connection)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(connection)
            _close(connection)


def _close(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
