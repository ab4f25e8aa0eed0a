"""`python -m local.poller --queue-url URL --handler lambda_sqs_to_batch.handler.handler`."""

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence

from local.poller.invocation import Handler, HandlerNotFound, load_handler
from local.poller.polling import MappingInvalid, MappingSettings, Poller


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    os.environ.setdefault("AWS_LAMBDA_FUNCTION_NAME", options.function_name)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = MappingSettings(
            queue_url=options.queue_url,
            function_name=options.function_name,
            batch_size=options.batch_size,
            batching_window_seconds=options.batching_window,
            function_timeout_seconds=options.function_timeout,
        )
        handler = load_handler(options.handler)
        if options.once:
            poller = Poller(settings, handler)
            try:
                poller.poll_once(stop)
            finally:
                poller.close()
            return 0
        return _run(settings, handler, options.concurrency, stop)
    except (HandlerNotFound, MappingInvalid) as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
        return 2


def _run(settings: MappingSettings, handler: Handler, concurrency: int, stop: threading.Event) -> int:
    """Raises what ended one of the pollers."""
    faults: list[Exception] = []

    def poll(poller: Poller) -> None:
        try:
            poller.run(stop)
        except Exception as exc:
            logging.getLogger(__name__).exception("a poller ended")
            faults.append(exc)
            stop.set()

    pollers = [Poller(settings, handler) for _ in range(concurrency)]
    threads = [threading.Thread(target=poll, args=(poller,)) for poller in pollers]
    for thread in threads:
        thread.start()
    print(f"polling {settings.queue_url}", flush=True)
    # Python runs signal handlers in the main thread alone, which therefore waits here and does not join.
    while not stop.wait(1.0):
        pass
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local.poller", description="Plays Lambda's SQS event source mapping."
    )
    parser.add_argument("--queue-url", required=True)
    parser.add_argument("--handler", required=True, help="package.module.function")
    parser.add_argument("--function-name", default="framebatch-sqs-to-batch")
    parser.add_argument("--batch-size", type=int, default=10)
    parser.add_argument("--batching-window", type=float, default=0.0, help="seconds")
    parser.add_argument("--function-timeout", type=float, default=30.0, help="seconds")
    parser.add_argument("--concurrency", type=int, default=1, help="how many batches at a time")
    parser.add_argument("--once", action="store_true", help="one batch, then end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
