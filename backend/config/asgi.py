"""`uvicorn backend.config.asgi:application`"""

import gc
import logging
import os
from collections.abc import MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")

_unhurried = get_asgi_application()

# The rest needs the models, which are there only now.
from backend.config.brief import BriefHandler  # noqa: E402
from backend.config.logs import WithoutTokens  # noqa: E402
from backend.config.parsers import MOST_BYTES, BodyTooLarge  # noqa: E402
from backend.config.settings import DATABASES  # noqa: E402
from backend.live.streaming import LiveStreams, Receive, Scope, Send, send_whole  # noqa: E402
from backend.videos.poll_lane import PollLane  # noqa: E402
from backend.videos.problems import problem  # noqa: E402

# As many threads as the pool has connections.
_brief = BriefHandler(threads=DATABASES["default"]["OPTIONS"]["pool"]["max_size"])
_polls = PollLane()


# Requests that are asked often, and answered by the database alone.
_ASKED_OFTEN = frozenset({"/api/analyses", "/api/quotes"})
_SMALL_BYTES = 64 * 1024


async def _django(scope: Scope, receive: Receive, send: Send) -> None:
    """Small answers come from a few threads: Django's own ASGI handler changes threads at every middleware and
    starts one for each request, which costs more than such an answer does (docs/performance.md).
    """
    if _is_brief(scope):
        await send_whole(await _polls.answer(scope) or await _brief.answer(scope), send)
    elif _is_brief_with_body(scope):
        # It gets a thread when all of it has come, or none.
        if (body := await _whole_body(receive)) is not None:
            await send_whole(await _brief.answer(scope, body), send)
    else:
        try:
            await _unhurried(scope, _bounded(receive), send)
        except BodyTooLarge as exc:
            refusal = problem(exc.status_code, code=exc.default_code, detail=exc.default_detail)
            await send_whole(refusal, send)


def _is_brief(scope: Scope) -> bool:
    """May it have one of the few threads? Not where a client can make it wait: by a body that does not come, or by
    an export that it reads slowly. Nor what tells that we live; nor what may be no text.
    """
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and "/exports/" not in scope["path"]
        and scope["path"] not in ("/healthz", "/readyz")
        and scope["query_string"].isascii()
    )


def _is_brief_with_body(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in _ASKED_OFTEN:
        return False
    length = dict(scope["headers"]).get(b"content-length", b"")
    return length.isdigit() and int(length) <= _SMALL_BYTES and scope["query_string"].isascii()


async def _whole_body(receive: Receive) -> bytes | None:
    """None where the client goes away before."""
    parts = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
    return None


def _bounded(receive: Receive) -> Receive:
    """Raises BodyTooLarge: Django writes a body of any size to the disk before it asks who sends it."""
    left = MOST_BYTES

    async def receive_bounded() -> MutableMapping[str, Any]:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise BodyTooLarge
        return message

    return receive_bounded


application = LiveStreams(_django)

logging.getLogger("uvicorn.access").addFilter(WithoutTokens())

# The server starts with what `manage.py check` accepts, or not at all.
if faults := [str(message) for message in run_checks() if message.is_serious()]:
    raise ImproperlyConfigured("\n".join(faults))

# What the start has made stays: a full collection that goes through it holds every request up for 100 ms and more.
gc.collect()
gc.freeze()
