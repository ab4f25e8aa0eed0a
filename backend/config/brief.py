"""Requests that the database alone answers: few threads, and one change of threads there and one back for each."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

from django.core import signals
from django.core.handlers.asgi import ASGIRequest, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse
from django.urls import set_script_prefix

from backend.live.streaming import Scope


class BriefHandler(BaseHandler):
    """What Django's own ASGI handler does, without its change of threads at every middleware and view, and without
    the streams that it can send: an answer is whole.
    """

    def __init__(self, *, threads: int) -> None:
        super().__init__()
        self.load_middleware()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="brief")

    async def answer(self, scope: Scope, body: bytes = b"") -> HttpResponse:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._answer, scope, body)

    def _answer(self, scope: Scope, body: bytes) -> HttpResponse:
        signals.request_started.send(sender=self.__class__, scope=scope)
        set_script_prefix(get_script_prefix(scope))
        response = self.get_response(ASGIRequest(scope, BytesIO(body)))
        response._handler_class = self.__class__
        response.close()  # in this thread, whose connection goes back to the pool with it
        return response
