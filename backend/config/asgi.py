"""`uvicorn backend.config.asgi:application`"""

import os

from a2wsgi import WSGIMiddleware
from django.core.asgi import get_asgi_application
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")

_streaming = get_asgi_application()

from backend.config.settings import DATABASES  # noqa: E402  # the rest needs the models, which are there only now
from backend.live.streaming import LiveStreams, Receive, Scope, Send  # noqa: E402

# As many threads as the pool has connections.
_brief = WSGIMiddleware(get_wsgi_application(), workers=DATABASES["default"]["OPTIONS"]["pool"]["max_size"])


async def _django(scope: Scope, receive: Receive, send: Send) -> None:
    """Exports are sent for minutes to whoever reads slowly; everything else is one answer of a thread.

    Django's own ASGI handler changes threads at every middleware and starts one for each request, which costs more
    than a small answer does (docs/performance.md).
    """
    streamed = scope["type"] == "http" and "/exports/" in scope["path"]
    await (_streaming if streamed else _brief)(scope, receive, send)


application = LiveStreams(_django)

# The server starts with what `manage.py check` accepts, or not at all.
if faults := [str(message) for message in run_checks() if message.is_serious()]:
    raise ImproperlyConfigured("\n".join(faults))
