"""The stand-in as the local stack starts it: our own job definition and retry strategy, events into a queue."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from contract.jobs import JOB_DEFINITION_NAME, RETRY_STRATEGY, job_definition
from local.ports import listening_on

KILLED_ONCE = """
import os, signal
print("attempt", os.environ["AWS_BATCH_JOB_ATTEMPT"], os.environ["DATABASE_URL"], flush=True)
if os.environ["AWS_BATCH_JOB_ATTEMPT"] == "1":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def stand_in(
    tmp_path: Path, new_queue: Callable[..., str], aws_endpoint: str
) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Process, its URL, and the queue of its events."""
    images = tmp_path / "images.json"
    images.write_text(json.dumps({"framebatch": {"programs": {"python": [sys.executable]}}}))
    queue_url = new_queue()
    arguments = ["--port", "0", "--log-dir", str(tmp_path / "logs"), "--images", str(images)]
    process = subprocess.Popen(
        [sys.executable, "-m", "local.batch", *arguments, "--job-events-queue-url", queue_url],
        env={**os.environ, "AWS_ENDPOINT_URL": aws_endpoint},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process, process.stdout:
        yield process, process.stdout.readline().split()[-1], queue_url
        process.terminate()


def register(batch: Any, secret_arn: str) -> None:
    batch.create_compute_environment(
        computeEnvironmentName="spot",
        type="MANAGED",
        computeResources={
            "type": "SPOT",
            "minvCpus": 0,
            "maxvCpus": 4,
            "instanceTypes": ["g4dn.xlarge"],
            "subnets": ["subnet-1"],
            "instanceRole": "ecsInstanceRole",
        },
    )
    shares = [{"shareIdentifier": "pro", "weightFactor": 0.5}]
    policy = batch.create_scheduling_policy(name="plans", fairsharePolicy={"shareDistribution": shares})
    batch.create_job_queue(
        jobQueueName="analyses",
        priority=1,
        schedulingPolicyArn=policy["arn"],
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "spot"}],
    )
    batch.register_job_definition(
        **job_definition(
            image="framebatch",
            environment={"BUCKET": "videos"},
            secrets={"DATABASE_URL": secret_arn},
            vcpus=2,
            memory_mib=1024,
            gpus=1,
            timeout_seconds=600,
        )
    )


def test_a_killed_job_runs_again_and_events_tell_of_it(
    stand_in: tuple[Any, str, str], clients: Callable[..., Any], aws_endpoint: str, tmp_path: Path
) -> None:
    """Exit code 137 is one that our strategy retries."""
    _, url, queue_url = stand_in
    batch, sqs = clients("batch", url), clients("sqs", aws_endpoint)
    secret = clients("secretsmanager", aws_endpoint).create_secret(
        Name=f"db{time.time_ns()}", SecretString="postgres://db"
    )
    register(batch, secret["ARN"])
    job_id = batch.submit_job(
        jobName="analysis-1",
        jobQueue="analyses",
        jobDefinition=JOB_DEFINITION_NAME,
        shareIdentifier="pro",
        retryStrategy=RETRY_STRATEGY,
        containerOverrides={"command": ["python", "-c", KILLED_ONCE]},
    )["jobId"]
    told = dict[str, tuple[str, int]]()  # by the event's id: one whose answer was late is sent again
    deadline = time.monotonic() + 90
    while ("SUCCEEDED", 2) not in told.values():
        assert time.monotonic() < deadline, told
        for message in sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", []):
            event = json.loads(message["Body"])
            detail = event["detail"]
            assert detail["jobId"] == job_id
            told[event["id"]] = detail["status"], len(detail["attempts"])
            sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    steps = ["RUNNABLE", "STARTING", "RUNNING"]
    assert sorted(told.values()) == sorted([*((s, 0) for s in steps), *((s, 1) for s in steps), ("SUCCEEDED", 2)])
    (job,) = batch.describe_jobs(jobs=[job_id])["jobs"]
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [137, 0]
    logs = [tmp_path / "logs" / f"{attempt['container']['logStreamName']}.log" for attempt in job["attempts"]]
    assert [log.read_text() for log in logs] == ["attempt 1 postgres://db\n", "attempt 2 postgres://db\n"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_cleanly(stand_in: tuple[Any, str, str], number: signal.Signals) -> None:
    process, _, _ = stand_in
    process.send_signal(number)
    assert process.wait(60) == 0


def test_who_comes_before_it_is_ready_waits(tmp_path: Path) -> None:
    """The stack holds the port for it, so that no other program takes it while it starts."""
    with listening_on(0) as listening:
        connection = HTTPConnection(*listening.getsockname())
        connection.request("GET", "/stand-in/health")
        process = subprocess.Popen(
            [sys.executable, "-m", "local.batch", "--fd", str(listening.fileno()), "--log-dir", str(tmp_path)],
            pass_fds=[listening.fileno()],
            stdout=subprocess.DEVNULL,
        )
    with process:
        assert json.load(connection.getresponse()) == {"status": "ok"}
        connection.close()
        process.terminate()
    assert process.returncode == 0


def test_a_service_whose_scheduler_broke_ends(tmp_path: Path) -> None:
    """It would accept jobs and never run one; the supervisor can only see a process that is gone."""
    broken = (
        "from local.batch import __main__, scheduler\n"
        "scheduler.Scheduler.tick = lambda *_: 1 / 0\n"
        f"raise SystemExit(__main__.main(['--port', '0', '--log-dir', {str(tmp_path)!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", broken], capture_output=True, text=True, timeout=90, check=False)
    assert (ended.returncode, "ZeroDivisionError" in ended.stderr) == (1, True)
