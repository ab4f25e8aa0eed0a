from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from backend.videos import worker
from backend.videos.loops import run_until_told


class Command(BaseCommand):
    help = "Runs everything the backend does in the background until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        loops = {name: make() for name, make in worker.LOOPS.items()}
        run_until_told(loops, heartbeat=settings.WORKER_HEARTBEAT)
