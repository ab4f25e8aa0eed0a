from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from backend.videos.errors import RequestRefused
from backend.videos.models import DeadRequest
from backend.videos.redriving import NothingToRedrive, redrive


class Command(BaseCommand):
    help = "Asks anew for analyses whose requests were refused or ended as dead letters; the messages are kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("message_ids", nargs="*", metavar="MESSAGE_ID")
        parser.add_argument("--all", action="store_true", help="all that were not redriven yet")

    def handle(self, *args: Any, message_ids: list[str], **options: Any) -> None:
        if bool(message_ids) == options["all"]:
            raise CommandError("Name message ids, or --all.")
        wanted = DeadRequest.objects.filter(redriven_at=None).order_by("id")
        if message_ids:
            wanted = wanted.filter(message_id__in=message_ids)
        found = list(wanted)
        if unknown := set(message_ids) - {dead.message_id for dead in found}:
            raise CommandError(f"No message waits to be redriven under: {', '.join(sorted(unknown))}.")
        made = 0
        for dead in found:
            try:
                self.stdout.write(f"{dead.message_id}: analysis {redrive(dead).pk}")
                made += 1
            except NothingToRedrive:
                self.stderr.write(f"{dead.message_id}: no analysis failed because of it, or it was asked for anew")
            except RequestRefused as exc:
                self.stderr.write(f"{dead.message_id}: refused, {exc}")
        self.stdout.write(f"{made} redriven")
