from typing import Any

from django.core.management.base import BaseCommand

from backend.videos import worker
from backend.videos.loops import run_until_told


class Command(BaseCommand):
    help = "Applies AWS Batch's job state changes to the analyses until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        run_until_told({"job-events consumer": worker.job_events()})
