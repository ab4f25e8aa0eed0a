"""`python -m local up|down`."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from local.backend import USER
from local.errors import ModelUnusable, StackError
from local.holder import running_holder
from local.machine import add_container_arguments, containers_of
from local.ports import port_number
from local.postgres import running_postgres
from local.services import stop_on_signals
from local.stack import DEFAULT_PORT, FOLDER, STATE, StackSettings, running_stack


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="serve until Ctrl-C")
    up.add_argument("--port", type=port_number, default=DEFAULT_PORT)
    up.add_argument("--folder", type=Path, default=FOLDER, help="where everything of the stack is kept")
    up.add_argument("--model", type=Path, help="weights of your own: a .pt file or an OpenVINO export")
    add_container_arguments(up)
    down = commands.add_parser("down", help="stop a stack that serves in another terminal")
    down.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if arguments.command == "down":
        return _down(arguments.folder)
    stop_on_signals()
    try:
        if arguments.model is not None and not arguments.model.exists():
            raise ModelUnusable(f"There is no {arguments.model}.")
        containers = containers_of(arguments)
        return _up(
            StackSettings(
                folder=arguments.folder, port=arguments.port, own_model=arguments.model, containers=containers
            )
        )
    except StackError as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped")
        return 0


def _up(settings: StackSettings) -> int:
    with running_stack(settings, say=lambda line: print(f"· {line}", flush=True)) as stack:
        print(f"\nFramebatch serves on {stack.url}   user: {USER}   password: {stack.password}")
        print(f"API key: {stack.api_key}\nLogs: {settings.folder / 'logs'}   Ctrl-C stops everything.", flush=True)
        while True:
            stack.keep_alive()
            time.sleep(0.5)


def _down(folder: Path) -> int:
    state, postgres = folder / STATE, folder / "postgres"
    holder = running_holder(state)
    if holder is None:
        if not (postgres / "postmaster.pid").exists():
            print("no stack is running")
            return 0
        with running_postgres(postgres):
            print("stopping the PostgreSQL that a killed stack left behind")
        return 0
    os.kill(holder["pid"], signal.SIGTERM)
    deadline = time.monotonic() + 60
    while running_holder(state) is not None:
        if time.monotonic() > deadline:
            print(f"process {holder['pid']} did not stop within 60 s", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
