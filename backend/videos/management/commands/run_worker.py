from typing import Any

from django.core.management.base import BaseCommand

from backend.videos import worker
from backend.videos.loops import run_until_told


class Command(BaseCommand):
    help = "Runs the outbox relay and the job-events consumer until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        run_until_told({"outbox relay": worker.relay(), "job-events consumer": worker.consumer()})
