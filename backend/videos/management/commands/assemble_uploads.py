from typing import Any

from django.core.management.base import BaseCommand

from backend.videos import worker
from backend.videos.loops import run_until_told


class Command(BaseCommand):
    help = "Has uploads in parts put together once all has arrived, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        run_until_told({name: worker.assembler(name) for name in worker.ASSEMBLERS})
