"""Everything the backend is told from outside, read in one place.

`AWS_*` variables (region, credentials, `AWS_ENDPOINT_URL`) are boto3's own and are not repeated here.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class EnvironmentInvalid(ValueError):
    """Environment variables are missing or faulty; `faults` names every one of them."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("the environment is not complete:\n" + "\n".join(f"  - {fault}" for fault in faults))
        self.faults = faults


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    secret_key: str
    debug: bool
    allowed_hosts: tuple[str, ...]
    csrf_trusted_origins: tuple[str, ...]
    https: bool  # False only for a run on http://localhost: cookies travel unencrypted and HSTS is off
    database: Mapping[str, Any]  # Django's NAME, USER, PASSWORD, HOST, PORT and libpq parameters as OPTIONS
    media_bucket: str
    media_origin: str | None  # where browsers reach the bucket; None derives it from the presigned URLs
    requests_queue_url: str
    dead_requests_queue_url: str  # the dead letters of the requests queue
    job_events_queue_url: str
    runtime_manifest: Path
    slowest_machine: float  # how many times longer than the reference machine the fleet's slowest one takes
    worker_heartbeat: Path | None  # a file that the worker touches as long as all its loops go on
    keep_analyses_days: int | None  # after their end; None keeps them until their owners delete them
    keep_videos_days: int | None  # after their upload, without any analysis; None keeps them
    keep_records_days: int  # messages, events and calls of analyses that are over
    probe_memory_mib: int  # what a look at an upload may take of the worker's memory
    webhook_ports: tuple[int, ...] | None  # of receivers, where a firewall lets no others through; None for any
    webhooks_allow_loopback: bool  # webhooks may reach this machine, also by http: for tests and the local stack
    source_url: str | None  # where users of a changed version find its source, as the AGPL asks
    static_root: Path | None  # None serves static files from the source tree
    log_level: str
    sign_up: bool  # whether people may make their own accounts
    mail: Mapping[str, Any] | None  # Django's EMAIL_ settings; without them nobody gets a new password by mail

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Raises EnvironmentInvalid with every fault at once."""
        reader = _Reader(environ)
        debug = reader.flag("DEBUG", default=False)
        values = cls(
            secret_key=reader.required("SECRET_KEY", _secret_key),
            debug=debug,
            allowed_hosts=reader.required("ALLOWED_HOSTS", _hosts, default=()),
            csrf_trusted_origins=reader.optional("CSRF_TRUSTED_ORIGINS", _origins, default=()),
            https=reader.flag("HTTPS", default=True),
            database=reader.required("DATABASE_URL", database_from_url, default={}),
            media_bucket=reader.required("MEDIA_BUCKET", _text),
            media_origin=reader.optional("MEDIA_ORIGIN", _origin, default=None),
            requests_queue_url=reader.required("REQUESTS_QUEUE_URL", _url),
            dead_requests_queue_url=reader.required("DEAD_REQUESTS_QUEUE_URL", _url),
            job_events_queue_url=reader.required("JOB_EVENTS_QUEUE_URL", _url),
            runtime_manifest=reader.required("RUNTIME_MANIFEST", Path, default=Path()),
            slowest_machine=reader.optional("SLOWEST_MACHINE", _factor, default=10.0),
            worker_heartbeat=reader.optional("WORKER_HEARTBEAT", Path, default=None),
            keep_analyses_days=reader.optional("KEEP_ANALYSES_DAYS", _days, default=None),
            keep_videos_days=reader.optional("KEEP_VIDEOS_DAYS", _days, default=None),
            keep_records_days=reader.optional("KEEP_RECORDS_DAYS", _days, default=90),
            probe_memory_mib=reader.optional("PROBE_MEMORY_MIB", _mebibytes, default=2048),
            webhook_ports=reader.optional("WEBHOOK_PORTS", _ports, default=None),
            webhooks_allow_loopback=reader.flag("WEBHOOKS_ALLOW_LOOPBACK", default=False),
            source_url=reader.optional("SOURCE_URL", _url, default=None),
            static_root=reader.optional("STATIC_ROOT", Path, default=None),
            log_level=reader.optional("LOG_LEVEL", _log_level, default="INFO"),
            sign_up=reader.flag("SIGN_UP", default=True),
            mail=reader.optional("MAIL_URL", _mail, default=None),
        )
        if reader.faults:
            raise EnvironmentInvalid(reader.faults)
        return values


class _Reader:
    """Collects faults instead of stopping at the first; the values of a faulty environment are never used."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.faults: list[str] = []

    def required(self, name: str, parse: Callable[[str], Any], default: Any = "") -> Any:
        text = self._environ.get(name, "").strip()
        if not text:
            self.faults.append(f"{name} is missing")
            return default
        return self._parsed(name, text, parse, default)

    def optional(self, name: str, parse: Callable[[str], Any], default: Any) -> Any:
        text = self._environ.get(name, "").strip()
        return self._parsed(name, text, parse, default) if text else default

    def flag(self, name: str, *, default: bool) -> bool:
        return bool(self.optional(name, _flag, default))

    def _parsed(self, name: str, text: str, parse: Callable[[str], Any], default: Any) -> Any:
        try:
            return parse(text)
        except ValueError as exc:
            # The value itself stays out of the message: it may be a secret.
            self.faults.append(f"{name} {exc}")
            return default


def database_from_url(url: str) -> dict[str, Any]:
    """Django's connection settings of `postgresql://user:password@host:port/name?libpq=parameters`.

    Raises ValueError.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise ValueError("is not a URL") from exc
    if parts.scheme not in ("postgres", "postgresql"):
        raise ValueError("must start with postgresql://")
    name = unquote(parts.path.removeprefix("/"))
    if not name:
        raise ValueError("names no database")
    options = dict(parse_qsl(parts.query))
    return {
        "NAME": name,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", unquote(parts.hostname or "")),
        "PORT": options.pop("port", str(port or "")),
        "OPTIONS": options,
    }


def _mail(text: str) -> dict[str, Any]:
    """`smtps://user:password@host:port/sender@example.org`; smtp:// begins in the clear and then asks for TLS."""
    parts = urlsplit(text)
    sender = unquote(parts.path.removeprefix("/"))
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or "@" not in sender:
        raise ValueError("must be smtp:// or smtps://user:password@host:port/sender@host")
    return {
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or (465 if parts.scheme == "smtps" else 587),
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp",
        "DEFAULT_FROM_EMAIL": sender,
    }


def _text(text: str) -> str:
    return text


def _secret_key(text: str) -> str:
    if len(text) < 32:
        raise ValueError("must have at least 32 characters")
    return text


def _hosts(text: str) -> tuple[str, ...]:
    hosts = _list(text)
    if "*" in hosts:
        raise ValueError("must name the hosts; * would accept any")
    return hosts


def _origins(text: str) -> tuple[str, ...]:
    return tuple(_origin(part) for part in _list(text))


def _origin(text: str) -> str:
    parts = urlsplit(_url(text))
    if parts.path not in ("", "/") or parts.query:
        raise ValueError("must be scheme://host[:port] without a path")
    return f"{parts.scheme}://{parts.netloc}"


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ValueError("must be an http or https URL")
    return text


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return lowered in _TRUE


def _factor(text: str) -> float:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise ValueError("must be a whole number from 1 to 1000")
    return float(text)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 36_500):
        raise ValueError("must be a whole number of days, at least 1")
    return int(text)


def _mebibytes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 512 <= int(text) <= 1024**2):
        raise ValueError("must be a whole number of MiB, at least 512")
    return int(text)


def _ports(text: str) -> tuple[int, ...]:
    parts = _list(text)
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= 65535 for part in parts):
        raise ValueError("must be port numbers, separated by commas")
    return tuple(int(part) for part in parts)


def _log_level(text: str) -> str:
    if text.upper() not in logging.getLevelNamesMapping():
        raise ValueError("must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL")
    return text.upper()


def _list(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if not parts:
        raise ValueError("is an empty list")
    return parts
