from typing import Any

from django.core.management.base import BaseCommand

from backend.videos.models import OwedCall
from backend.videos.owed_calls import resume


class Command(BaseCommand):
    help = "Lets the worker make the owed calls again that it has given up."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{resume(OwedCall.objects.all())} calls are owed again")
