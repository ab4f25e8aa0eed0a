from typing import Any

from django.core.management.base import BaseCommand

from backend.videos import worker
from backend.videos.loops import run_until_told


class Command(BaseCommand):
    help = "Closes the analyses whose requests ended as dead letters, and keeps the letters, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        run_until_told({"dead-requests consumer": worker.dead_requests()})
