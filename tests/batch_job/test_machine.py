"""The receipt names the machine where EC2 tells, and says so honestly where nobody does."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from batch_job.machine import Machine, this_machine

TOLD = {
    "/latest/meta-data/instance-type": "g4dn.xlarge",
    "/latest/meta-data/instance-life-cycle": "spot",
    "/latest/meta-data/placement/availability-zone": "eu-central-1b",
}


class Service(BaseHTTPRequestHandler):
    """IMDSv2: facts only for whoever shows the token that was asked for with PUT."""

    def do_PUT(self) -> None:
        known = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        self._answer(200 if known else 400, "the-token")

    def do_GET(self) -> None:
        allowed = self.headers["X-aws-ec2-metadata-token"] == "the-token"
        self._answer(200 if allowed and self.path in TOLD else 401, TOLD.get(self.path, ""))

    def log_message(self, *_: object) -> None: ...

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr("batch_job.machine._TIMEOUT_SECONDS", 60.0)  # it shares a busy machine with whoever asks
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def on_ecs(service: str) -> dict[str, str]:
    return {
        "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": service,
    }


def test_a_machine_of_ec2_tells_what_it_is(service: str):
    machine = this_machine(on_ecs(service))
    assert (machine.instance_type, machine.market, machine.zone) == ("g4dn.xlarge", "spot", "eu-central-1b")


def test_outside_of_ecs_nobody_is_asked(service: str):
    """A laptop would wait a second for an address that does not answer."""
    machine = this_machine({"AWS_EC2_METADATA_SERVICE_ENDPOINT": service})
    assert machine == Machine(gpu=machine.gpu)


@pytest.mark.parametrize("path", list(TOLD))
def test_what_is_not_told_in_full_stays_unknown(service: str, path: str, monkeypatch: pytest.MonkeyPatch):
    """Half of the facts would give a wrong price."""
    monkeypatch.delitem(TOLD, path)
    machine = this_machine(on_ecs(service))
    assert machine == Machine(gpu=machine.gpu)


def test_a_machine_that_does_not_answer_is_no_reason_to_fail():
    machine = this_machine(on_ecs("http://127.0.0.1:9"))
    assert machine == Machine(gpu=machine.gpu)
