"""Django's command line: `python -m backend.manage migrate`, `... run_worker`, `... create_api_key`."""

import os
import sys
from pathlib import Path


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backend.config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as exc:
        # The message says what to do; where Django noticed does not matter.
        raise SystemExit(str(exc)) from None


if __name__ == "__main__":
    # Run as a file, Python puts this folder on the path; the import root is the one above it.
    root = str(Path(__file__).resolve().parent.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    main()
