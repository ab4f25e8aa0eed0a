from typing import Any

from django.core.management.base import BaseCommand

from backend.videos import worker
from backend.videos.loops import run_until_told


class Command(BaseCommand):
    help = "Ends the jobs of cancelled analyses and removes deleted ones until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        run_until_told({"owed calls": worker.owed_calls()})
