from typing import Any

from django.core.management.base import BaseCommand
from django.db.models.functions import Now

from backend.videos.models import OwedCall


class Command(BaseCommand):
    help = "Lets the worker make the owed calls again that it has given up."

    def handle(self, *args: Any, **options: Any) -> None:
        given_up = OwedCall.objects.filter(done_at=None).exclude(given_up_at=None)
        count = given_up.update(given_up_at=None, attempts=0, not_before=Now())
        self.stdout.write(f"{count} calls are owed again")
