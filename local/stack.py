"""Starts every part of the product on this machine, keeps it alive, and leaves nothing behind."""

import fcntl
import json
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.manifest import ModelEntry
from local import aws
from local.errors import AlreadyRunning, ServiceFailed
from local.leftovers import settle_leftovers
from local.models import add_model, read_added, remember_added
from local.ports import HOST, free_port, require_free
from local.postgres import running_postgres
from local.runtime import REPOSITORY, write_manifest
from local.services import Service

FOLDER = REPOSITORY / ".local"
STATE = "stack.json"  # in the folder: who runs the stack, held locked while it runs
USER = "demo"

_FUNCTION_SECONDS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class StackSettings:
    folder: Path = FOLDER
    port: int = 8000
    own_model: Path | None = None
    visibility_seconds: int = 60
    max_receives: int = 3
    job_vcpus: int = field(default_factory=lambda: os.cpu_count() or 1)
    job_environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stack:
    """What a client of a running stack needs."""

    url: str
    api_key: str
    password: str
    own_model: ModelEntry | None
    services: Mapping[str, Service]
    database_url: str
    aws_environment: Mapping[str, str]
    account: aws.Account

    def keep_alive(self) -> None:
        """Starts again what ended. Raises ServiceFailed."""
        for service in self.services.values():
            service.keep_alive()


@contextmanager
def running_stack(settings: StackSettings, say: Callable[[str], None] = lambda _: None) -> Iterator[Stack]:
    """Raises StackError, PortInUse and AlreadyRunning among them, with a sentence for the terminal."""
    folder = settings.folder
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as cleanup:
        cleanup.enter_context(_only_one(folder / STATE, settings.port))
        require_free(settings.port)
        url = f"http://localhost:{settings.port}"
        aws_url, batch_url = (f"http://{HOST}:{free_port()}" for _ in range(2))
        aws_environment = aws.account_environment(aws_url, batch_url)
        base = _base_environment() | aws_environment
        session = aws.session_for(aws_environment)
        services: dict[str, Service] = {}

        def serve(name: str, *argv: str, environment: Mapping[str, str] = {}, restart: bool = True) -> Service:
            service = Service(
                name=name,
                argv=[sys.executable, "-m", *argv],
                environment=base | environment,
                log_folder=folder / "logs",
                restart=restart,
            )
            services[name] = service
            cleanup.callback(service.stop)
            service.start()
            return service

        say("starting PostgreSQL, S3 and SQS")
        moto = serve("aws", "moto.server", "-H", HOST, "-p", aws_url.rpartition(":")[2], restart=False)
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
        cleanup.callback(aws.save_media, session, aws_url, folder / "media")

        say("starting AWS Batch")
        batch = serve(
            "batch",
            "local.batch",
            *("--port", batch_url.rpartition(":")[2]),
            *("--job-events-queue-url", account.job_events_queue_url),
            *("--log-dir", str(folder / "logs" / "jobs")),
            *("--images", str(_write_images(folder))),
            restart=False,
        )

        say("preparing the database")
        backend = {
            "SECRET_KEY": _kept(folder / "secret-key", lambda: secrets.token_urlsafe(50)),
            "ALLOWED_HOSTS": "localhost,127.0.0.1",
            "HTTPS": "false",
            "DATABASE_URL": database_url,
            "MEDIA_BUCKET": aws.BUCKET,
            "REQUESTS_QUEUE_URL": account.requests_queue_url,
            "JOB_EVENTS_QUEUE_URL": account.job_events_queue_url,
            "RUNTIME_MANIFEST": str(_manifest_path(settings)),
        }
        _manage(base | backend, "migrate", "--verbosity", "0")
        settle_leftovers(database_url)
        password = _kept(folder / "password", lambda: secrets.token_urlsafe(9))
        api_key = _kept(folder / "api-key", lambda: _create_api_key(base | backend, password))

        batch.wait_until(lambda: _answers(f"{batch_url}/"))
        job_definition = aws.create_batch(
            session,
            batch_url,
            environment=_job_environment(settings, aws_environment),
            account=account,
            vcpus=settings.job_vcpus,
        )
        say("starting the backend, its worker and the Lambda")
        web = serve(
            "web",
            *("uvicorn", "backend.config.asgi:application", "--host", HOST, "--port", str(settings.port)),
            *("--no-access-log", "--timeout-graceful-shutdown", "5"),
            environment=backend,
        )
        serve("worker", "backend.manage", "run_worker", environment=backend)
        serve(
            "lambda",
            *("local.poller", "--queue-url", account.requests_queue_url),
            *("--handler", "lambda_sqs_to_batch.handler.handler"),
            # Lambda takes no queue whose messages come back before the function's time is up.
            *("--function-timeout", str(min(_FUNCTION_SECONDS, settings.visibility_seconds))),
            environment={"JOB_QUEUE": aws.JOB_QUEUE, "JOB_DEFINITION": job_definition},
        )
        web.wait_until(lambda: _answers(f"http://{HOST}:{settings.port}/readyz"))
        yield Stack(
            url=url,
            api_key=api_key,
            password=password,
            own_model=own_model,
            services=services,
            database_url=database_url,
            aws_environment=aws_environment,
            account=account,
        )


@contextmanager
def _only_one(path: Path, port: int) -> Iterator[None]:
    """Holds the checkout's one stack. The kernel lets the lock go with the process, however it ends."""
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = running_holder(path) or {"pid": "?", "port": "?"}
            raise AlreadyRunning(
                f"The stack already runs on port {holder['port']} (process {holder['pid']}); `make down` stops it."
            ) from exc
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "port": port}))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running_holder(path: Path) -> dict[str, Any] | None:
    """Process id and port of the stack that holds `path`, or None where none does."""
    try:
        with path.open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return dict(json.loads(file.read()))
    except FileNotFoundError:
        pass
    return None


def _base_environment() -> dict[str, str]:
    """This process's environment without anything that could lead to a real AWS account or to foreign modules."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DJANGO_", "PYTHON"))
    }
    return inherited | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}


def _manifest_path(settings: StackSettings) -> Path:
    return settings.folder / "opt" / "runtime" / "manifest.json"


def _write_manifest(settings: StackSettings, say: Callable[[str], None]) -> ModelEntry | None:
    added_path = settings.folder / "models" / "added.json"
    own = None
    if settings.own_model is not None:
        say(f"preparing {settings.own_model.name} (exported to OpenVINO on first use)")
        own = add_model(settings.own_model, settings.folder / "models")
        remember_added(added_path, settings.own_model)
    earlier = [Path(path) for path in read_added(added_path) if Path(path).exists()]
    entries = {entry.name: entry for entry in (add_model(path, settings.folder / "models") for path in earlier)}
    write_manifest(_manifest_path(settings), tuple(entries.values()))
    return own


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
    scratch = settings.folder / "scratch"
    scratch.mkdir(exist_ok=True)
    return {
        **aws_environment,
        "MEDIA_BUCKET": aws.BUCKET,
        "RUNTIME_MANIFEST": "/opt/runtime/manifest.json",
        "SCRATCH_DIR": str(scratch),
        **settings.job_environment,
    }


def _kept(path: Path, make: Callable[[], str]) -> str:
    """A secret of this checkout, made once and readable by its owner alone."""
    if not path.exists():
        value = make()
        path.touch(mode=0o600)
        path.write_text(value, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _create_api_key(environment: Mapping[str, str], password: str) -> str:
    arguments = ("create_api_key", "--user", USER, "--create-user", "--password-env", "DEMO_PASSWORD")
    return _manage({**environment, "DEMO_PASSWORD": password}, *arguments).strip()


def _manage(environment: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "backend.manage", *arguments],
        env=dict(environment),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServiceFailed(f"manage.py {arguments[0]} failed:\n{done.stderr.strip()[-3000:]}")
    return done.stdout


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError as exc:
        return exc.code < 500
    except OSError:
        return False
