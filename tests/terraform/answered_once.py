"""moto's server, on a socket that it inherits. A call that is tried again gets the answer of the first time there.

An SDK tries again where it has not got the answer, and terraform then hears that what its own first try has made
is there already. All tries of a call bear the same `amz-sdk-invocation-id`, and their number in `amz-sdk-request`:
https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html
"""

import sys
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.server import MotoRequestHandler
from werkzeug.serving import make_server
from werkzeug.test import run_wsgi_app

from local.ports import HOST


@dataclass(slots=True)
class _Call:
    """`answer` is the status line, headers and body; `lock` is held by the try that is at work."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    answer: tuple[str, list[tuple[str, str]], list[bytes]] | None = None


class AnsweredOnce:
    """A WSGI application around another, which is asked once for each call of an SDK.

    A server's own error is no answer: the next try reaches the application, as it does on AWS.
    """

    def __init__(self, application: Any) -> None:
        self._application = application
        self._calls: dict[str, _Call] = defaultdict(_Call)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name = environ.get("HTTP_AMZ_SDK_INVOCATION_ID")
        if name is None:
            return self._application(environ, start_response)
        call = self._calls[name]
        with call.lock:
            if call.answer is not None:
                tried = environ.get("HTTP_AMZ_SDK_REQUEST")
                print(f"tried again ({tried}) after {call.answer[0]}", file=sys.stderr, flush=True)
            if call.answer is None or call.answer[0] >= "500":
                body, status, headers = run_wsgi_app(self._application, environ, buffered=True)
                call.answer = status, headers.to_wsgi_list(), list(body)
            status, header_list, parts = call.answer
        start_response(status, header_list)
        return parts


if __name__ == "__main__":
    moto = DomainDispatcherApplication(create_backend_app)
    served = AnsweredOnce(moto)
    # The address is the socket's own, whatever is said here.
    make_server(
        HOST, 0, served, threaded=True, request_handler=MotoRequestHandler, fd=int(sys.argv[1])
    ).serve_forever()
