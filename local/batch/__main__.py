"""`python -m local.batch --port 9000 --log-dir LOGS --images images.json --job-events-queue-url URL`."""

import argparse
import logging
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from local.batch.container_runner import ContainerRunner, Host
from local.batch.containers import Runner
from local.batch.events import NoEvents, SqsEvents
from local.batch.registry import Place
from local.batch.scheduler import STOP_GRACE_SECONDS
from local.batch.secret_values import SecretsManager
from local.batch.server import BatchServer
from local.batch.service import BatchService, ServiceSettings
from local.batch.subprocess_runner import SubprocessRunner, read_images


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    failed = threading.Event()

    def fail(thread: threading.ExceptHookArgs) -> None:
        # A stand-in without its scheduler would answer and do nothing: the supervisor must see that it is gone.
        sys.__excepthook__(thread.exc_type, thread.exc_value or thread.exc_type(), thread.exc_traceback)
        failed.set()
        stop.set()

    threading.excepthook = fail
    settings = ServiceSettings(
        place=Place(options.region, options.account),
        log_folder=options.log_dir,
        time_scale=options.time_scale,
        stop_grace_seconds=options.stop_grace_seconds,
    )
    resolve_secret = SecretsManager()
    service = BatchService(
        settings,
        runner=_runner(options),
        events=SqsEvents(options.job_events_queue_url) if options.job_events_queue_url else NoEvents(),
        resolve_secret=resolve_secret,
    )
    try:
        with service, _server(service, options) as server:
            print(f"AWS Batch stand-in at {server.url}", flush=True)
            stop.wait()
    finally:
        resolve_secret.close()
    return 1 if failed.is_set() else 0


def _server(service: BatchService, options: argparse.Namespace) -> BatchServer:
    if options.fd is None:
        return BatchServer(service, options.port)
    return BatchServer(service, listening=socket.socket(fileno=options.fd))


def _runner(options: argparse.Namespace) -> Runner:
    if options.containers:
        return ContainerRunner(Host.read(options.containers))
    return SubprocessRunner(read_images(options.images) if options.images else {})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.batch", description="A stand-in for AWS Batch.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", type=int, help="on 127.0.0.1; 0 chooses a free one")
    where.add_argument("--fd", type=int, help="of a socket that it inherits, which listens already")
    parser.add_argument("--log-dir", type=Path, default=Path(".local/logs/jobs"), help="one file per attempt")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--images", type=Path, help="JSON: image name -> programs, directory, environment, mounts")
    how.add_argument("--containers", type=Path, help="JSON: engine, label, folders, ports, sockets")
    parser.add_argument("--job-events-queue-url", help="SQS queue for job state changes")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--account", default="123456789012")
    parser.add_argument(
        "--stop-grace-seconds",
        type=float,
        default=STOP_GRACE_SECONDS,
        help="between SIGTERM and SIGKILL, in seconds of Batch's own",
    )
    parser.add_argument(
        "--time-scale", type=float, default=1.0, help="tests only: how long a second of Batch's own lasts here"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
