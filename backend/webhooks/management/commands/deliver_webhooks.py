from typing import Any

from django.core.management.base import BaseCommand

from backend.videos import worker
from backend.videos.loops import run_until_told


class Command(BaseCommand):
    help = "Sends webhooks that are due, and forgets old ones, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        run_until_told({"webhooks": worker.webhooks(), "old webhooks": worker.old_webhooks()})
