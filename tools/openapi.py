"""Writes docs/openapi.yaml from the code, and fails where an endpoint is not described. Run by `make openapi`."""

import os
import sys
from pathlib import Path

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


if __name__ == "__main__":
    main()
