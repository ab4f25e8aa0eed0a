import os
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from backend.accounts import services
from backend.accounts.errors import TooManyApiKeys
from backend.accounts.models import User
from backend.accounts.scopes import ALL
from contract.plans import Plan


class Command(BaseCommand):
    help = "Makes an API key for a user and prints the key, and nothing else, to standard output."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, help="user name")
        parser.add_argument("--name", default="command line", help="what the key is for")
        parser.add_argument("--scope", action="append", choices=ALL, help="repeatable; without it, every scope")
        parser.add_argument("--create-user", action="store_true", help="make the user if there is none")
        parser.add_argument(
            "--plan", choices=[plan.value for plan in Plan], default=Plan.FREE.value, help="of the new user"
        )
        parser.add_argument(
            "--password-env",
            metavar="VAR",
            help="environment variable with the new user's password; without it, nobody can sign in as the user",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            user = User.objects.filter(username=options["user"]).first()
            if user is None:
                if not options["create_user"]:
                    raise CommandError(f"There is no user {options['user']!r}; --create-user makes one.")
                user = _new_user(options["user"], options["plan"], options["password_env"])
            try:
                made = services.create_api_key(user=user, name=options["name"], scopes=options["scope"] or ALL)
            except TooManyApiKeys as exc:
                raise CommandError(exc.sentence) from exc
        self.stdout.write(made.key)


def _new_user(name: str, plan: str, password_variable: str | None) -> User:
    user = User(username=name, plan=plan)
    password = None
    if password_variable:
        password = os.environ.get(password_variable)
        if not password:
            raise CommandError(f"{password_variable} is not set.")
    user.set_password(password)  # None: no password will ever fit
    try:
        if password:
            validate_password(password, user)
        user.full_clean(exclude=["password"])
    except ValidationError as exc:
        raise CommandError("; ".join(exc.messages)) from exc
    user.save()
    return user
