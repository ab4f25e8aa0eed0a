"""`uvicorn backend.config.asgi:application`"""

import os

from django.core.asgi import get_asgi_application
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")

_django = get_asgi_application()

from backend.live.streaming import LiveStreams  # noqa: E402  # it needs the models, which are there only now

application = LiveStreams(_django)

# The server starts with what `manage.py check` accepts, or not at all.
if faults := [str(message) for message in run_checks() if message.is_serious()]:
    raise ImproperlyConfigured("\n".join(faults))
