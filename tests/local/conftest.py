"""What the tests of the stand-ins share: a scheduler on a clock of its own, a running Batch, SQS queues."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config

from local.batch.effects import Launch, SendKill, SendStop
from local.batch.events import Event
from local.batch.jobs import Job, JobStatus
from local.batch.registry import Registry
from local.batch.scheduler import Scheduler
from local.batch.secret_values import SecretsManager
from local.batch.server import BatchServer
from local.batch.service import BatchService, ServiceSettings
from local.batch.subprocess_runner import Image, SubprocessRunner

PATIENCE_SECONDS = 90.0  # a busy machine may stand still for a while


@pytest.fixture(autouse=True)
def fake_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 must find credentials, and never real ones."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BATCH", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`eventually(found)` waits until the call gives something true, and gives that."""

    def wait(found: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
        deadline = time.monotonic() + seconds
        while not (result := found()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.01)
        return result

    return wait


@pytest.fixture
def clients() -> Iterator[Callable[..., Any]]:
    """boto3 clients that are closed after the test."""
    with ExitStack() as stack:

        def client(name: str, url: str, **config: Any) -> Any:
            made = boto3.client(
                name, endpoint_url=url, config=Config(**{"retries": {"max_attempts": 0}, **config})
            )
            stack.callback(made.close)
            return made

        yield client


@pytest.fixture
def new_queue(
    aws_endpoint: str, clients: Callable[..., Any], request: pytest.FixtureRequest
) -> Callable[..., str]:
    sqs = clients("sqs", aws_endpoint)

    def create(**attributes: str) -> str:
        url: str = sqs.create_queue(QueueName=f"q-{uuid4().hex}", Attributes=attributes)["QueueUrl"]
        return url

    return create


# Documents of the API


def fill(registry: Registry, *, max_vcpus: int = 4, policy: dict[str, Any] | None = None, **queue: Any) -> None:
    """Environment `ce`, queue `q` (fair share where a policy is given), definition `work`."""
    registry.create_environment(environment_document("ce", max_vcpus))
    policy_arn = {}
    if policy is not None:
        policy_arn["schedulingPolicyArn"] = registry.create_policy({"name": "p", "fairsharePolicy": policy})["arn"]
    registry.create_queue(queue_document("q", **policy_arn, **queue))
    registry.register_definition(definition_document())


def environment_document(name: str, max_vcpus: int, *types: str) -> dict[str, Any]:
    return {
        "computeEnvironmentName": name,
        "type": "MANAGED",
        "computeResources": {
            "type": "EC2",
            "minvCpus": 0,
            "maxvCpus": max_vcpus,
            "instanceTypes": list(types) or ["optimal"],
            "subnets": ["subnet-1"],
            "instanceRole": "arn:aws:iam::123456789012:instance-profile/ecs",
        },
    }


def queue_document(name: str, *environments: str, **members: Any) -> dict[str, Any]:
    order = [{"order": n, "computeEnvironment": ce} for n, ce in enumerate(environments or ("ce",), start=1)]
    return {"jobQueueName": name, "priority": 1, "computeEnvironmentOrder": order, **members}


def definition_document(
    name: str = "work", *, vcpus: int = 1, memory_mib: int = 64, gpus: int = 0
) -> dict[str, Any]:
    wanted = {"VCPU": vcpus, "MEMORY": memory_mib} | ({"GPU": gpus} if gpus else {})
    return {
        "jobDefinitionName": name,
        "type": "container",
        "containerProperties": {
            "image": "python",
            "command": ["python", "-c", "pass"],
            "resourceRequirements": [{"type": kind, "value": str(value)} for kind, value in wanted.items()],
        },
    }


@pytest.fixture
def documents() -> Any:
    class Documents:
        environment = staticmethod(environment_document)
        queue = staticmethod(queue_document)
        definition = staticmethod(definition_document)

    return Documents


# The scheduler alone


class Desk:
    """A scheduler whose time stands still until a test moves it, and whose containers do what the test says."""

    def __init__(self, **settings: Any) -> None:
        self.now = 1_000_000.0
        self.registry = Registry()
        self.scheduler = Scheduler(self.registry)
        self.stops: list[str] = []
        self.kills: list[str] = []
        self.launched: list[str] = []
        fill(self.registry, **settings)

    def submit(self, name: str = "job", **parameters: Any) -> Job:
        given = {"jobName": name, "jobQueue": "q", "jobDefinition": "work", **parameters}
        return self.scheduler.submit(given, self.now)

    def tick(self, seconds: float = 0.0) -> None:
        """Time passes; containers that may start do."""
        self.now += seconds
        for effect in self.scheduler.tick(self.now):
            match effect:
                case Launch(job=job):
                    self.launched.append(job.id)
                    self.scheduler.started(job.id, self.now)
                case SendStop(job_id=job_id):
                    self.stops.append(job_id)
                case SendKill(job_id=job_id):
                    self.kills.append(job_id)

    def end(self, job: Job, exit_code: int | None = 0, *, after: float = 0.0, fault: str | None = None) -> None:
        self.now += after
        self.scheduler.ended(job.id, self.now, exit_code=exit_code, start_fault=fault)
        self.tick()

    def told(self, job: Job) -> list[str]:
        """The states that events told of."""
        return [
            change.detail["status"]
            for change in self.scheduler.changes
            if change.detail["jobId"] == job.id and not change.blocks_queue
        ]

    def in_state(self, status: JobStatus) -> list[str]:
        return [job.name for job in self.scheduler.jobs.values() if job.status is status]


@pytest.fixture
def desk_with() -> Callable[..., Desk]:
    return Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


# The whole service, in this process


class EventList:
    """Keeps the events instead of sending them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def put(self, event: Event) -> None:
        self.events.append(json.loads(json.dumps(event)))

    def close(self) -> None:
        pass


class RunningBatch:
    """A Batch stand-in over HTTP with a plain boto3 client, and shortcuts for what most tests do."""

    def __init__(self, server: BatchServer, client: Any, events: EventList, logs: Path) -> None:
        self.server, self.service, self.client = server, server.service, client
        self.events, self.logs, self.url = events, logs, server.url

    def run(self, code: str = "pass", name: str = "job", **parameters: Any) -> str:
        """Submits Python code as a job of queue `q`."""
        overrides = {"command": ["python", "-c", code], **parameters.pop("containerOverrides", {})}
        given = {"jobName": name, "jobQueue": "q", "jobDefinition": "work", **parameters}
        job_id: str = self.client.submit_job(**given, containerOverrides=overrides)["jobId"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        (job,) = self.client.describe_jobs(jobs=[job_id])["jobs"]
        found: dict[str, Any] = job
        return found

    def finished(self, job_id: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        return self.reaches(job_id, "SUCCEEDED", "FAILED", seconds=seconds)

    def reaches(self, job_id: str, *states: str, seconds: float = PATIENCE_SECONDS) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (job := self.job(job_id))["status"] not in states:
            assert time.monotonic() < deadline, f"{job['status']}: {job.get('statusReason')}"
            time.sleep(0.01)
        return job

    def ready(self, job_id: str) -> dict[str, Any]:
        """The job when its process has set itself up (tests/local/programs.py)."""
        job = self.reaches(job_id, "RUNNING")
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "ready" not in self.log(job["container"]):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return job

    def log(self, attempt: dict[str, Any]) -> str:
        """Of an attempt, or of a job's `container`."""
        stream = attempt.get("container", attempt)["logStreamName"]
        return (self.logs / f"{stream}.log").read_text()


@pytest.fixture
def batch_with(
    tmp_path: Path, clients: Callable[..., Any], aws_endpoint: str
) -> Iterator[Callable[..., RunningBatch]]:
    with ExitStack() as stack:

        def start(
            *, image: Image | None = None, images: Iterable[str] = ("python",), **settings: Any
        ) -> RunningBatch:
            service_settings = {
                name: settings.pop(name) for name in ("time_scale", "stop_grace_seconds") if name in settings
            }
            events = EventList()
            image = image or Image(programs={"python": [sys.executable]})
            service = BatchService(
                ServiceSettings(log_folder=tmp_path / "logs", shutdown_grace_seconds=1.0, **service_settings),
                runner=SubprocessRunner(dict.fromkeys(images, image)),
                events=events,
                resolve_secret=SecretsManager(clients("secretsmanager", aws_endpoint)),
            )
            fill(service.registry, **settings)
            stack.enter_context(service)
            server = stack.enter_context(BatchServer(service))
            return RunningBatch(server, clients("batch", server.url), events, tmp_path / "logs")

        yield start


@pytest.fixture
def batch(batch_with: Callable[..., RunningBatch]) -> RunningBatch:
    return batch_with()
