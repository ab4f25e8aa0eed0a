from typing import Any

from django.core.management.base import BaseCommand

from backend.videos import worker
from backend.videos.loops import run_until_told


class Command(BaseCommand):
    help = "Looks at files whose upload is finished, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        run_until_told({"prober": worker.prober()})
