"""Who takes the database's place in the network learns nothing: neither password nor user."""

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest

from tests.terraform.authorities import Authority
from tests.terraform.running import TERRAFORM

pytestmark = pytest.mark.integration


@contextmanager
def database(folder: Path, certificate: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Speaks as much of PostgreSQL as comes before the password. Gives its port and what it was told in secret."""
    path = folder / "server.pem"
    path.write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    told: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            connection.recv(8)  # SSLRequest
            connection.sendall(b"S")
            try:
                with context.wrap_socket(connection, server_side=True) as secret:
                    told.append(secret.recv(1024))
            except OSError:  # the client ends the handshake
                return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1], told
        thread.join(30)


@pytest.mark.parametrize(
    ("signed_by_rds", "host", "speaks"),
    [
        pytest.param(True, "localhost", True, id="the database"),
        pytest.param(False, "localhost", False, id="signed by somebody else"),
        pytest.param(True, "database.example.org", False, id="another server of RDS"),
    ],
)
def test_only_the_database_itself_is_spoken_to(tmp_path: Path, signed_by_rds: bool, host: str, speaks: bool):
    rds = Authority.make()
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(rds.pem)
    signer = rds if signed_by_rds else Authority.make()
    options = f"{declared_options()}&sslrootcert={bundle}&gssencmode=disable"
    with (
        database(tmp_path, signer.server(host)) as (port, told),
        pytest.raises(psycopg.OperationalError) as failed,  # the real one would go on from there
    ):
        psycopg.connect(f"postgresql://framebatch:secret@localhost:{port}/framebatch?{options}")
    if speaks:
        assert b"user\0framebatch" in b"".join(told)
    else:
        assert b"".join(told) == b""
        assert re.search("SSL error|server certificate for", str(failed.value))


def declared_options() -> str:
    """As modules/database says how to connect."""
    text = (TERRAFORM / "modules" / "database" / "outputs.tf").read_text(encoding="utf-8")
    (url,) = (line.split('"')[1] for line in text.splitlines() if "postgresql://" in line)
    query = urlsplit(url).query
    assert dict(parse_qsl(query))
    return query
