"""boto3 clients with the patience a web request has."""

import threading
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

CONNECT_SECONDS = 2
READ_SECONDS = 5

_making = threading.Lock()  # a session, unlike a client, is not safe to share between threads


def client(service: str, *, read_seconds: int = READ_SECONDS, **options: Any) -> Any:
    """Region, credentials and endpoint come from where boto3 always looks for them.

    Raises botocore's BotoCoreError when there is no region.
    """
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retries={"mode": "standard", "max_attempts": 2},
        **options,
    )
    with _making:
        return _session().client(service, config=config)


@cache
def _session() -> boto3.session.Session:
    """One for all clients: it keeps the service descriptions, which take a quarter of a second to read."""
    return boto3.session.Session()
