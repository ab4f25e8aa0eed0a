from typing import Any

from django.core.management.base import BaseCommand

from backend.videos import worker
from backend.videos.loops import run_until_told


class Command(BaseCommand):
    help = "Settles what waits too long, and jobs of which nothing was heard, every minute, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        run_until_told({"reconciler": worker.reconciler()})
