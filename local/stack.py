"""Starts every part of the product on this machine, keeps it alive, and leaves nothing behind."""

import json
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from contract.manifest import ModelEntry
from local import aws, machine
from local.backend import backend_environment, base_environment, first_user, migrate
from local.errors import ModelUnusable
from local.holder import only_one
from local.leftovers import settle_leftovers
from local.machine import Containers
from local.models import add_model, read_added, remember_added
from local.ports import HOST, listening_on
from local.postgres import running_postgres
from local.runtime import REPOSITORY, write_manifest
from local.services import Service

DEFAULT_PORT = 8000
FOLDER = REPOSITORY / ".local"
STATE = "stack.json"  # in the folder: who runs the stack, held locked while it runs

_FUNCTION_SECONDS = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class StackSettings:
    folder: Path = FOLDER
    port: int = DEFAULT_PORT  # 0: any that is free
    own_model: Path | None = None
    containers: Containers | None = None  # else jobs are plain processes
    visibility_seconds: int = 60
    max_receives: int = 3
    job_vcpus: int = field(default_factory=lambda: os.cpu_count() or 1)
    web_processes: int = field(default_factory=lambda: min(2, os.cpu_count() or 1))
    job_environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """What a client of a running stack needs."""

    url: str
    port: int
    api_key: str
    password: str
    own_model: ModelEntry | None
    services: Mapping[str, Service]
    database_url: str
    aws_environment: Mapping[str, str]
    account: aws.Account
    job_environment: Mapping[str, str]

    def keep_alive(self) -> None:
        """Starts again what ended. Raises ServiceFailed."""
        for service in self.services.values():
            service.keep_alive()


@contextmanager
def running_stack(settings: StackSettings, say: Callable[[str], None] = lambda _: None) -> Iterator[Stack]:
    """Raises StackError, PortInUse and AlreadyRunning among them, with a sentence for the terminal."""
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    _go_past_proxies()
    with ExitStack() as cleanup:
        tell_port = cleanup.enter_context(only_one(folder / STATE, settings.port))
        # Taken at once and for good: where a port is only found to be free, another program may be quicker.
        ports = (settings.port, 0, 0)
        listening, aws_socket, batch_socket = (cleanup.enter_context(listening_on(port)) for port in ports)
        port, aws_url, batch_url = _port_of(listening), _url_of(aws_socket), _url_of(batch_socket)
        tell_port(port)
        aws_environment = aws.account_environment(aws_url, batch_url)
        base = base_environment() | aws_environment
        session = aws.session_for(aws_environment)
        services: dict[str, Service] = {}

        def serve(
            name: str,
            *argv: str,
            environment: Mapping[str, str] = {},
            restart: bool = True,
            sockets: Sequence[socket.socket] = (),
        ) -> Service:
            service = Service(
                name=name,
                argv=[sys.executable, "-m", *argv],
                environment=base | environment,
                log_folder=folder / "logs",
                restart=restart,
                sockets=sockets,
            )
            services[name] = service
            cleanup.callback(service.stop)
            service.start()
            if not restart:  # nobody else will answer: where it has died, it is refused, and not waited for
                for own in sockets:
                    own.close()
            return service

        if settings.containers is not None:
            machine.prepare(settings.containers, folder, say)
        say("starting PostgreSQL, S3 and SQS")
        moto = serve(
            "aws", "local.aws_server", "--fd", str(aws_socket.fileno()), restart=False, sockets=[aws_socket]
        )
        database_url = cleanup.enter_context(running_postgres(folder / "postgres"))
        own_model = _write_manifest(settings, say)
        moto.wait_until(lambda: _answers(f"{aws_url}/moto-api/"))
        account = aws.create_account(
            session,
            aws_url,
            database_url=database_url,
            visibility_seconds=settings.visibility_seconds,
            max_receives=settings.max_receives,
        )
        aws.restore_media(session, aws_url, folder / "media")
        cleanup.callback(_save_media, session, aws_url, folder / "media", say)

        say("starting AWS Batch")
        batch = serve(
            "batch",
            "local.batch",
            *("--fd", str(batch_socket.fileno())),
            *("--job-events-queue-url", account.job_events_queue_url),
            *("--log-dir", str(folder / "logs" / "jobs")),
            *_how_jobs_run(settings, database_url=database_url, aws_url=aws_url),
            restart=False,
            sockets=[batch_socket],
        )

        say("preparing the database")
        backend = backend_environment(
            folder, database_url=database_url, account=account, manifest_path=_manifest_path(settings)
        )
        migrate(base | backend)
        settle_leftovers(database_url)
        password, api_key = first_user(folder, base | backend)

        batch.wait_until(lambda: _answers(f"{batch_url}/"))
        job_environment = _job_environment(settings, aws_environment)
        job_definition = aws.create_batch(
            session,
            batch_url,
            environment=job_environment,
            account=account,
            vcpus=settings.job_vcpus,
        )
        say("starting the backend, its worker and the Lambda")
        webs = [
            serve(name, "local.web", "--fd", str(listening.fileno()), environment=backend, sockets=[listening])
            for name in ("web", *(f"web-{number}" for number in range(2, settings.web_processes + 1)))
        ]
        serve("worker", "backend.manage", "run_worker", environment=backend)
        serve(
            "lambda",
            *("local.poller", "--queue-url", account.requests_queue_url),
            *("--handler", "lambda_sqs_to_batch.handler.handler"),
            # Lambda takes no queue whose messages come back before the function's time is up.
            *("--function-timeout", str(min(_FUNCTION_SECONDS, settings.visibility_seconds))),
            environment={
                "JOB_QUEUE": aws.JOB_QUEUE,
                "JOB_QUEUE_ENTERPRISE": aws.ENTERPRISE_QUEUE,
                "JOB_QUEUE_ON_DEMAND": aws.ON_DEMAND_QUEUE,
                "JOB_QUEUE_ON_DEMAND_ENTERPRISE": aws.ON_DEMAND_ENTERPRISE_QUEUE,
                "JOB_DEFINITION": job_definition,
                "JOB_EVENTS_QUEUE_URL": account.job_events_queue_url,
            },
        )
        for web in webs:  # whichever answers: one that ends while it starts is noticed here or by `keep_alive`
            web.wait_until(lambda: _answers(f"http://{HOST}:{port}/readyz"))
        yield Stack(
            url=f"http://localhost:{port}",
            port=port,
            api_key=api_key,
            password=password,
            own_model=own_model,
            services=services,
            database_url=database_url,
            aws_environment=aws_environment,
            account=account,
            job_environment=job_environment,
        )


def _port_of(listening: socket.socket) -> int:
    port: int = listening.getsockname()[1]
    return port


def _url_of(listening: socket.socket) -> str:
    return f"http://{HOST}:{_port_of(listening)}"


def _save_media(session: boto3.Session, aws_url: str, folder: Path, say: Callable[[str], None]) -> None:
    """Where S3 has died, that is why the stack stops, and its own word must not be lost under this one."""
    try:
        aws.save_media(session, aws_url, folder)
    except (BotoCoreError, ClientError) as exc:
        say(f"what was uploaded since the start is not kept: {exc}")


def _manifest_path(settings: StackSettings) -> Path:
    return settings.folder / "opt" / "runtime" / "manifest.json"


def _write_manifest(settings: StackSettings, say: Callable[[str], None]) -> ModelEntry | None:
    added_path = settings.folder / "models" / "added.json"
    own = None
    if settings.own_model is not None:
        say(f"preparing {settings.own_model.name} (exported to OpenVINO on first use)")
        own = add_model(settings.own_model, settings.folder / "models")
        remember_added(added_path, settings.own_model)
    entries = {}
    for path in map(Path, read_added(added_path)):
        try:
            entry = add_model(path, settings.folder / "models")
        except ModelUnusable as exc:
            # A file that has gone or changed must not keep the stack from starting without it.
            say(f"left out: {exc}")
        else:
            entries[entry.name] = entry
    if own is not None:
        # Another file of the same name may have been added before; the one that was asked for now counts.
        entries[own.name] = own
    if settings.containers is None:
        write_manifest(_manifest_path(settings), tuple(entries.values()))
    else:
        machine.offer(settings.folder, tuple(entries.values()))
    return own


def _how_jobs_run(settings: StackSettings, *, database_url: str, aws_url: str) -> tuple[str, str]:
    """Arguments of the Batch stand-in."""
    if settings.containers is None:
        return "--images", str(_write_images(settings.folder))
    host = machine.write_host(settings.containers, settings.folder, database_url=database_url, aws_url=aws_url)
    return "--containers", str(host)


def _write_images(folder: Path) -> Path:
    """How the Batch stand-in runs the job's image without a container engine."""
    path = folder / "images.json"
    image = {
        "programs": {"python": [sys.executable]},
        "directory": str(REPOSITORY),
        "mounts": {"/opt/runtime": str(folder / "opt" / "runtime")},
    }
    path.write_text(json.dumps({aws.JOB_IMAGE: image}), encoding="utf-8")
    return path


def _job_environment(settings: StackSettings, aws_environment: Mapping[str, str]) -> dict[str, str]:
    common = {**aws_environment, "MEDIA_BUCKET": aws.BUCKET}
    if settings.containers is not None:
        return {**common, **machine.job_environment(), **settings.job_environment}
    scratch = settings.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    here = {"RUNTIME_MANIFEST": "/opt/runtime/manifest.json", "SCRATCH_DIR": str(scratch)}
    return {**common, **here, **settings.job_environment}


def _go_past_proxies() -> None:
    """Everything is on loopback; a proxy for the world outside has no part in it."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), HOST, "localhost")))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError as exc:
        return exc.code < 500
    except OSError:
        return False
