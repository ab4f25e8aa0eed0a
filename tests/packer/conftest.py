import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from contract.manifest import RUNTIME_ABI, RuntimeManifest
from local.runtime import locked_models
from packer.packer_py_wrapper.__main__ import main

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    """Of a server for all tests, because each start and stop takes half a second."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def account(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An AWS account with no image in it, of this test alone, which subprocesses see as well."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # Amazon's, which cost a fifth of a second each time
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    _reset(moto_url)


def _reset(endpoint: str) -> None:
    import httpx

    httpx.post(f"{endpoint}/moto-api/reset", trust_env=False, timeout=60).raise_for_status()  # on a busy machine


@pytest.fixture
def ec2(account: None) -> Any:
    return boto3.client("ec2")


@pytest.fixture
def ssm(account: None) -> Any:
    return boto3.client("ssm")


@pytest.fixture
def fake_packer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `packer` on the path that bakes in no time."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "packer"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).parent / "fake_packer.py"} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return script


@pytest.fixture
def variables(tmp_path: Path) -> Path:
    path = tmp_path / "gpu.pkrvars.hcl"
    path.write_text('source_ami = "ami-0123"\ninstance_type = "g6.xlarge"\n')
    return path


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """As a bake of the models of the lock brings it back, but written by nobody's machine."""
    path = tmp_path / "manifest.json"
    about = {
        "python": "3.11.7",
        "torch": None,
        "cuda": None,
        "driver_floor": None,
        "engines": ("ncnn", "openvino"),
    }
    path.write_text(RuntimeManifest(abi=RUNTIME_ABI, models=locked_models(), **about).to_json())
    return path


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Runs a command of the wrapper; gives its exit code and what it said and complained of."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return code, said.out, said.err

    return call
