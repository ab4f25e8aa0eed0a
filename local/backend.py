"""Prepares the backend of the stack: its environment, its tables and its first user."""

import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from contract.plans import Plan
from local import aws
from local.errors import ServiceFailed
from local.runtime import REPOSITORY

USER = "demo"

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "XDG_RUNTIME_DIR")
_INHERITED += ("DOCKER_HOST", "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")  # where jobs run in containers


def backend_environment(
    folder: Path, *, database_url: str, account: aws.Account, manifest_path: Path
) -> dict[str, str]:
    return {
        "SECRET_KEY": _kept(folder / "secret-key", lambda: secrets.token_urlsafe(50)),
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "HTTPS": "false",
        "DATABASE_URL": database_url,
        "MEDIA_BUCKET": aws.BUCKET,
        "REQUESTS_QUEUE_URL": account.requests_queue_url,
        "DEAD_REQUESTS_QUEUE_URL": account.dead_requests_queue_url,
        "JOB_EVENTS_QUEUE_URL": account.job_events_queue_url,
        "RUNTIME_MANIFEST": str(manifest_path),
        "SLOWEST_MACHINE": "100",  # a laptop without a GPU, and the largest network
        "WEBHOOKS_ALLOW_LOOPBACK": "true",
    }


def migrate(environment: Mapping[str, str]) -> None:
    """Raises ServiceFailed with what Django said."""
    _manage(environment, "migrate", "--verbosity", "0")


def first_user(folder: Path, environment: Mapping[str, str]) -> tuple[str, str]:
    """Password and API key of the user, made once. Raises ServiceFailed."""
    password = _kept(folder / "password", lambda: secrets.token_urlsafe(9))
    api_key = _kept(folder / "api-key", lambda: _create_api_key(environment, password))
    return password, api_key


def base_environment() -> dict[str, str]:
    """What every program needs, and nothing that could lead to a real AWS account, a proxy or foreign modules."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return inherited | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}


def _kept(path: Path, make: Callable[[], str]) -> str:
    """A secret of this checkout, made once and readable by its owner alone."""
    if not path.exists():
        value = make()
        path.touch(mode=0o600)
        path.write_text(value, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def _create_api_key(environment: Mapping[str, str], password: str) -> str:
    # One's own machine has no reason to ration what it does for one.
    new = ("--create-user", "--plan", Plan.ENTERPRISE.value, "--password-env", "DEMO_PASSWORD")
    arguments = ("create_api_key", "--user", USER, *new)
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
