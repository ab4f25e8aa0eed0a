"""HTTP on 127.0.0.1: AWS Batch's REST-JSON API, and a few addresses of the stand-in's own under /stand-in/."""

import json
import logging
import socket
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.batch.api import Api
from local.batch.errors import ApiError, ClientException, MissingAuthentication, UnknownOperation
from local.batch.faults import Faults, VanishedService
from local.batch.model import operation_at
from local.batch.service import BatchService

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_LARGEST_BODY = 1 << 20


class BatchServer:
    """`with BatchServer(service) as server:`; AWS_ENDPOINT_URL_BATCH names `server.url`. Port 0 is a free one.

    `listening` is a socket to serve on, in the place of a port.
    """

    def __init__(self, service: BatchService, port: int = 0, *, listening: socket.socket | None = None) -> None:
        self.service = service
        self.faults = Faults()
        self._http = _Http((HOST, port), listening)
        self._http.api, self._http.faults, self._http.service = Api(service), self.faults, service
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="http", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._http.server_port}"

    def __enter__(self) -> "BatchServer":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._http.end_connections()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128
    api: Api
    faults: Faults
    service: BatchService

    def __init__(self, address: tuple[str, int], listening: socket.socket | None) -> None:
        super().__init__(address, _Handler, bind_and_activate=listening is None)
        if listening is not None:
            self.socket.close()
            self.socket, self.server_address = listening, listening.getsockname()
            self.server_name, self.server_port = self.server_address
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._connections.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """SDKs keep connections open; their threads would wait for a next request."""
        with self._guard:
            for connection in self._connections:
                try:
                    connection.shutdown(socket.SHUT_RD)
                except OSError:
                    continue


class _Handler(BaseHTTPRequestHandler):
    server: _Http
    protocol_version = "HTTP/1.1"
    server_version = "BatchStandIn"
    # Headers and body leave in two writes; Nagle's algorithm would hold the second back for 40 ms.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        try:
            status, document = 200, self._answer()
        except VanishedService:
            self.close_connection = True
            return
        except ApiError as exc:
            self._send(exc.http_status, {"message": str(exc)}, error=exc.code)
            return
        except Exception:
            logger.exception("request failed: %s", self.path)
            self._send(500, {"message": "Internal error of the stand-in"}, error="ServerException")
            return
        self._send(status, document)

    do_GET = do_DELETE = do_PUT = do_POST

    def _answer(self) -> dict[str, Any]:
        body = self._body()
        if self.path.startswith("/stand-in/"):
            return self._own(body)
        # Jobs are commands on this machine. A web page that a developer visits can post to this port, but cannot
        # add this header, nor the content type that the addresses of our own ask for.
        if not self.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256"):
            raise MissingAuthentication("Missing Authentication Token")
        operation = operation_at(self.command, self.path)
        self.server.faults.strike(operation.name)
        return self.server.api.answer(operation, body)

    def _body(self) -> Any:
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_BODY:
            self.close_connection = True
            raise ClientException("The request is too large.")
        try:
            return json.loads(self.rfile.read(length) or b"{}")
        except ValueError as exc:
            raise ClientException(f"The body is not JSON: {exc}") from exc

    def _own(self, body: Any) -> dict[str, Any]:
        """For tests and supervisors: health, reclaim-host, faults."""
        if self.command != "GET" and self.headers.get("Content-Type") != "application/json":
            raise ClientException("The content type must be application/json.")
        match self.command, self.path.removeprefix("/stand-in/"):
            case "GET", "health":
                return {"status": "ok"}
            case "POST", "reclaim-host":
                self.server.service.reclaim_host(body["jobId"], grace_seconds=body.get("graceSeconds"))
                return {}
            case "POST", "faults":
                self.server.faults.add(**body)
                return {}
            case "DELETE", "faults":
                self.server.faults.clear()
                return {}
        raise UnknownOperation(f"{self.command} {self.path}")

    def _send(self, status: int, document: dict[str, Any], error: str | None = None) -> None:
        payload = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        if error is not None:
            self.send_header("x-amzn-errortype", error)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)
