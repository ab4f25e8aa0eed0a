"""Writes docs/openapi.yaml, and the client's types, from the code. Run by `make openapi`.

Fails where an endpoint is not described.
"""

import os
import sys
from pathlib import Path

import yaml

from tools.client_models import PATH, models_of

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> None:
    sys.path.insert(0, str(REPOSITORY))
    os.environ["DJANGO_SETTINGS_MODULE"] = "backend.config.settings"
    import django
    from django.core.management import call_command

    import tests.fix_environment  # noqa: F401  # complete settings that lead nowhere: nothing is asked of them

    django.setup()
    path = REPOSITORY / "docs" / "openapi.yaml"
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(path))
    PATH.write_text(models_of(yaml.safe_load(path.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
