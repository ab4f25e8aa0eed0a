"""The environment is read once, and everything wrong with it is said at once."""

import os
import string
import subprocess
import sys
from typing import Any

import pytest

from backend.config.environment import Environment, EnvironmentInvalid, database_from_url

COMPLETE = {
    "SECRET_KEY": "k" * 40,
    "ALLOWED_HOSTS": "framebatch.example, localhost",
    "DATABASE_URL": "postgresql://user:p%40ss@db.example:5433/frames?sslmode=require",
    "MEDIA_BUCKET": "media",
    "REQUESTS_QUEUE_URL": "https://sqs.example/1/requests",
    "DEAD_REQUESTS_QUEUE_URL": "https://sqs.example/1/requests-dead-letters",
    "JOB_EVENTS_QUEUE_URL": "https://sqs.example/1/events",
    "RUNTIME_MANIFEST": "/opt/runtime/manifest.json",
}


def test_complete_environment_is_read():
    environment = Environment.from_environ(COMPLETE)
    assert environment.allowed_hosts == ("framebatch.example", "localhost")
    assert environment.database["HOST"] == "db.example"
    assert environment.media_origin is None


def test_defaults_are_the_safe_ones():
    environment = Environment.from_environ(COMPLETE)
    assert environment.debug is False
    assert environment.https is True


@pytest.mark.parametrize(
    ("url", "port", "tls", "ssl"),
    [
        ("smtps://me:p%40ss@mail.example/no-reply@example.org", 465, False, True),
        ("smtp://me:p%40ss@mail.example:2525/no-reply@example.org", 2525, True, False),
    ],
)
def test_mail_goes_encrypted_one_way_or_the_other(url: str, port: int, tls: bool, ssl: bool):
    mail = Environment.from_environ({**COMPLETE, "MAIL_URL": url}).mail
    assert (mail["EMAIL_PORT"], mail["EMAIL_USE_TLS"], mail["EMAIL_USE_SSL"]) == (port, tls, ssl)
    assert (mail["EMAIL_HOST_PASSWORD"], mail["DEFAULT_FROM_EMAIL"]) == ("p@ss", "no-reply@example.org")


def test_every_missing_variable_is_named_at_once():
    with pytest.raises(EnvironmentInvalid) as refused:
        Environment.from_environ({})
    assert refused.value.faults == [f"{name} is missing" for name in COMPLETE]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        pytest.param("SECRET_KEY", "short", "at least 32", id="short key"),
        pytest.param("DEBUG", "maybe", "true or false", id="flag"),
        pytest.param("HTTPS", "2", "true or false", id="https"),
        pytest.param("SIGN_UP", "later", "true or false", id="sign-up"),
        pytest.param("MAIL_URL", "smtps://mail.example", "smtps://user", id="mail without a sender"),
        pytest.param("MAIL_URL", "https://mail.example/a@b", "smtps://user", id="mail by another protocol"),
        pytest.param("ALLOWED_HOSTS", "*", "any", id="any host"),
        pytest.param("ALLOWED_HOSTS", ", ,", "empty", id="no host"),
        pytest.param("DATABASE_URL", "mysql://x/y", "postgresql://", id="another database"),
        pytest.param("DATABASE_URL", "postgresql://host", "no database", id="no database name"),
        pytest.param("DATABASE_URL", "postgresql://host:port/x", "not a URL", id="port in words"),
        pytest.param("REQUESTS_QUEUE_URL", "requests", "URL", id="queue name instead of URL"),
        pytest.param("MEDIA_ORIGIN", "https://media.example/path", "without a path", id="origin with a path"),
        pytest.param("CSRF_TRUSTED_ORIGINS", "example.com", "URL", id="origin without scheme"),
        pytest.param("PROBE_MEMORY_MIB", "256", "at least 512", id="too little memory for a look"),
        pytest.param("WEBHOOK_PORTS", "443, https", "port numbers", id="a port in words"),
        pytest.param("WEBHOOK_PORTS", "70000", "port numbers", id="a port that is none"),
        pytest.param("LOG_LEVEL", "LOUD", "INFO", id="log level"),
    ],
)
def test_faulty_value_is_told_without_being_shown(name: str, value: str, words: str):
    """The value may be a secret, and the message ends up in a log."""
    with pytest.raises(EnvironmentInvalid, match=words) as refused:
        Environment.from_environ({**COMPLETE, name: value})
    (fault,) = refused.value.faults
    assert fault.startswith(name)
    assert value == "*" or value not in fault


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(
            "postgresql://user:p%40ss@db.example:5433/frames",
            {"NAME": "frames", "USER": "user", "PASSWORD": "p@ss", "HOST": "db.example", "PORT": "5433"},
            id="everything",
        ),
        pytest.param(
            "postgres://postgres:@/postgres?host=/run/pg",
            {"NAME": "postgres", "USER": "postgres", "PASSWORD": "", "HOST": "/run/pg", "PORT": ""},
            id="unix socket",
        ),
        pytest.param(
            "postgresql://db/frames?sslmode=verify-full&application_name=a%20b",
            {
                "NAME": "frames",
                "USER": "",
                "PASSWORD": "",
                "HOST": "db",
                "PORT": "",
                "OPTIONS": {"sslmode": "verify-full", "application_name": "a b"},
            },
            id="libpq parameters",
        ),
    ],
)
def test_database_url_is_taken_apart(url: str, expected: dict[str, Any]):
    assert database_from_url(url) == {"OPTIONS": {}, **expected}


def test_production_settings_pass_djangos_own_checks():
    """Cookies, HSTS, redirects: nothing that `check --deploy` would warn of."""
    done = subprocess.run(
        [sys.executable, "-m", "backend.manage", "check", "--deploy", "--fail-level", "WARNING"],
        env={**os.environ, "HTTPS": "true", "SECRET_KEY": string.ascii_letters},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_commands_stop_with_one_clear_message():
    """An operator reads what to set, not a traceback."""
    bare = {name: value for name, value in os.environ.items() if name not in COMPLETE}
    done = subprocess.run(
        [sys.executable, "-m", "backend.manage", "check"], env=bare, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert all(f"{name} is missing" in done.stderr for name in COMPLETE)
