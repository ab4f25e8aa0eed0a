from typing import Any

from django.core.management.base import BaseCommand

from backend.videos import worker
from backend.videos.loops import run_until_told


class Command(BaseCommand):
    help = "Says once a minute what has piled up, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        run_until_told({"pulse": worker.pulse()})
