"""What the tests' own account promises terraform."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from tests.terraform.account import Account, account
from tests.terraform.answered_once import AnsweredOnce


@pytest.fixture
def empty_account(tmp_path: Path) -> Iterator[Account]:
    with account(tmp_path / "log") as served:
        yield served


def test_call_that_is_tried_again_after_its_answer_was_lost_gets_that_answer(empty_account, monkeypatch):
    iam = empty_account.client("iam")
    connection = iam._endpoint.http_session
    really_send = connection.send

    def send_and_hear_nothing(request: Any) -> Any:
        really_send(request)
        monkeypatch.undo()
        raise ConnectionClosedError(endpoint_url=request.url)

    monkeypatch.setattr(connection, "send", send_and_hear_nothing)

    made = iam.create_instance_profile(InstanceProfileName="machine")

    assert made["InstanceProfile"]["InstanceProfileName"] == "machine"
    assert empty_account.trouble().splitlines()[-1] == "tried again (attempt=2; max=3) after 200 OK"
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_instance_profile(InstanceProfileName="machine")


def test_servers_own_error_is_no_answer():
    statuses = iter(["500 Internal Server Error", "200 OK"])
    told: list[str] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response(next(statuses), [])
        return [b""]

    once = AnsweredOnce(application)
    for _ in range(3):
        b"".join(once({"HTTP_AMZ_SDK_INVOCATION_ID": "a"}, lambda status, headers: told.append(status)))

    assert told == ["500 Internal Server Error", "200 OK", "200 OK"]
