"""`uvicorn backend.config.asgi:application`"""

import os

from a2wsgi import WSGIMiddleware
from django.core.asgi import get_asgi_application
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")

_unhurried = get_asgi_application()

from backend.config.settings import DATABASES  # noqa: E402  # the rest needs the models, which are there only now
from backend.live.streaming import LiveStreams, Receive, Scope, Send  # noqa: E402

# As many threads as the pool has connections.
_brief = WSGIMiddleware(get_wsgi_application(), workers=DATABASES["default"]["OPTIONS"]["pool"]["max_size"])


async def _django(scope: Scope, receive: Receive, send: Send) -> None:
    """Small answers come from a few threads: Django's own ASGI handler changes threads at every middleware and
    starts one for each request, which costs more than such an answer does (docs/performance.md).
    """
    await (_brief if _is_brief(scope) else _unhurried)(scope, receive, send)


def _is_brief(scope: Scope) -> bool:
    """May it have one of the few threads? Not where a client can make it wait: by a body that does not come, or by
    an export that it reads slowly. Nor what tells that we live; nor what WSGI would take for something else.
    """
    return (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and "/exports/" not in scope["path"]
        and scope["path"] not in ("/healthz", "/readyz")
        and scope["query_string"].isascii()
        and not any(b"_" in name for name, _ in scope["headers"])
    )


application = LiveStreams(_django)

# The server starts with what `manage.py check` accepts, or not at all.
if faults := [str(message) for message in run_checks() if message.is_serious()]:
    raise ImproperlyConfigured("\n".join(faults))
