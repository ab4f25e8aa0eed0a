"""The Lambda against its bars: `python -m bench.submitter`, or `make bench-lambda`; writes bench/out/lambda.json.

A cold import is that of the package alone, in a new interpreter, with the client of AWS Batch that the function
makes while Lambda starts it. What a batch adds is processor time: the handler's for ten records, less that of the
same calls made by boto3 alone, against the Batch stand-in in another process.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any
from uuid import uuid4

import boto3

from bench.lab import Row, report
from contract.messages import AnalysisRequest
from local import aws
from local.services import Service
from tools.lambda_zip import build

ROUNDS = 15
RECORDS = 10

_IMPORT = """
import sys, time
began = time.perf_counter(), time.process_time()
sys.path[:0] = [{package!r}, {site!r}]
import lambda_sqs_to_batch.handler
print(time.perf_counter() - began[0], time.process_time() - began[1])
"""


def main() -> int:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "function.zip"
        build(package)
        walls, processor = zip(*(_cold_import(package) for _ in range(ROUNDS)), strict=True)
        rows += [
            Row(name="cold import", value=round(median(walls), 3), unit="s", at_most=0.4),
            Row(name="cold import, processor", value=round(median(processor), 3), unit="s"),
            Row(name="zip", value=package.stat().st_size, unit="bytes", at_most=100_000),
        ]
        with_handler, calls_alone = _batches(Path(folder))
    rows += [
        Row(name="ten records, processor", value=round(1000 * with_handler, 1), unit="ms"),
        Row(name="their calls alone, processor", value=round(1000 * calls_alone, 1), unit="ms"),
        Row(
            name="ten records beyond their calls",
            value=round(1000 * max(0.0, with_handler - calls_alone), 1),
            unit="ms",
            at_most=20,
        ),
        Row(name="load average of the machine", value=round(os.getloadavg()[0], 1), unit=""),
    ]
    return report("lambda", rows)


def _cold_import(package: Path) -> tuple[float, float]:
    """Seconds of the wall clock and of the processor."""
    code = _IMPORT.format(package=str(package), site=str(Path(boto3.__file__).parents[1]))
    environment = _environment("http://127.0.0.1:1")
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    wall, processor = map(float, done.stdout.split())
    return wall, processor


def _environment(batch_url: str) -> dict[str, str]:
    return aws.account_environment(batch_url, batch_url) | {
        "AWS_LAMBDA_FUNCTION_NAME": "framebatch-sqs-to-batch",
        "JOB_QUEUE": aws.JOB_QUEUE,
        "JOB_DEFINITION": "framebatch-analysis",
        "JOB_EVENTS_QUEUE_URL": "http://127.0.0.1:1/queue",
    }


def _batches(folder: Path) -> tuple[float, float]:
    """Processor seconds of a batch of ten, with the handler and by its calls alone, in turns."""
    argv = [sys.executable, "-m", "local.batch", "--port", "0", "--log-dir", str(folder / "jobs")]
    service = Service(name="batch", argv=argv, environment=dict(os.environ), log_folder=folder)
    service.start()
    try:
        service.wait_until(lambda: "AWS Batch stand-in at" in service.log_tail())
        url = service.log_tail().split("AWS Batch stand-in at ")[1].split()[0]
        os.environ.update(_environment(url))
        session = aws.session_for(os.environ)
        account = aws.Account(
            requests_queue_url="", dead_requests_queue_url="", job_events_queue_url="", database_secret_arn="a"
        )
        aws.create_batch(session, url, environment={}, account=account, vcpus=1)
        from lambda_sqs_to_batch.handler import handler

        with_handler, alone = [], []
        for _ in range(ROUNDS):
            with redirect_stdout(StringIO()):
                with_handler.append(_processor(lambda: handler({"Records": _records()}, None)))
            alone.append(_processor(_calls(boto3.client("batch"), _records())))
        return median(with_handler), median(alone)
    finally:
        service.stop()


def _records() -> list[dict[str, str]]:
    requests = [AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/v", model="m") for _ in range(RECORDS)]
    return [{"messageId": str(request.analysis_id), "body": request.to_json()} for request in requests]


def _calls(client: Any, records: list[dict[str, str]]) -> Callable[[], None]:
    """The two calls for each record, with arguments that are ready."""
    from lambda_sqs_to_batch.settings import Settings
    from lambda_sqs_to_batch.submission import submission_for

    settings = Settings.from_environ(os.environ)
    prepared = [
        submission_for(AnalysisRequest.from_json(record["body"]), record["body"], settings) for record in records
    ]

    def call() -> None:
        for arguments in prepared:
            filters = [{"name": "JOB_NAME", "values": [arguments["jobName"]]}]
            client.list_jobs(jobQueue=arguments["jobQueue"], filters=filters)
            client.submit_job(**arguments)

    return call


def _processor(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())
