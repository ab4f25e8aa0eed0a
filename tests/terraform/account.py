"""An AWS account for terraform: moto, in a process of its own, since terraform asks it from many threads."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx

from local.ports import HOST, listening_on
from tests.terraform.running import REPOSITORY

REGION = "us-east-1"

_ANSWERED = re.compile(r'HTTP/1\.[01](\x1b\[0m)?" [234]\d\d -')


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """An AWS account that moto plays, and how terraform and boto3 reach it."""

    endpoint: str
    environment: dict[str, str]
    log: Path

    def client(self, service: str) -> Any:
        return boto3.Session(
            aws_access_key_id="terraform", aws_secret_access_key="terraform", region_name=REGION
        ).client(service, endpoint_url=self.endpoint)

    def trouble(self) -> str:
        """What the server has said besides the lines of requests that it has answered."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return "\n".join(line for line in lines if not _ANSWERED.search(line))


@contextmanager
def account(log: Path) -> Iterator[Account]:
    """An empty one; the server writes a line for each request to `log`."""
    listening = listening_on(0)
    endpoint = f"http://{HOST}:{listening.getsockname()[1]}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "terraform",
        "AWS_SECRET_ACCESS_KEY": "terraform",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    with listening, log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.terraform.answered_once", str(listening.fileno())],
            cwd=REPOSITORY,
            env=os.environ | environment | {"MOTO_ACM_VALIDATION_WAIT": "0"},
            pass_fds=[listening.fileno()],
            stdout=output,
            stderr=output,
        )
    try:
        with httpx.Client(base_url=endpoint, trust_env=False, timeout=120) as http:  # it takes a while to start
            without_docker = {"batch": {"use_docker": False}, "lambda": {"use_docker": False}}
            http.post("/moto-api/config", json=without_docker).raise_for_status()
        yield Account(endpoint=endpoint, environment=environment, log=log)
    finally:
        server.kill()  # it keeps nothing, and a busy one would take its time
        server.wait(60)
