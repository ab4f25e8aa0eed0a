"""Collects the static files while the image is built, all with one time."""

import os
import sys
from pathlib import Path

import django
from django.core.management import call_command

# What is served to browsers depends on none of these, but the settings are read as a whole.
_PLACEHOLDERS = {
    "SECRET_KEY": "only-while-the-image-is-built-only-while-the-image-is-built",
    "ALLOWED_HOSTS": "nowhere.invalid",
    "DATABASE_URL": "postgresql://nobody@nowhere.invalid/nothing",
    "MEDIA_BUCKET": "nowhere",
    "REQUESTS_QUEUE_URL": "https://nowhere.invalid/requests",
    "DEAD_REQUESTS_QUEUE_URL": "https://nowhere.invalid/dead-requests",
    "JOB_EVENTS_QUEUE_URL": "https://nowhere.invalid/job-events",
    "RUNTIME_MANIFEST": "/nowhere",
    "DJANGO_SETTINGS_MODULE": "backend.config.settings",
}


def main(folder: Path) -> None:
    os.environ.update(_PLACEHOLDERS, STATIC_ROOT=str(folder))
    django.setup()
    call_command("collectstatic", interactive=False, verbosity=0)
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (0, 0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
