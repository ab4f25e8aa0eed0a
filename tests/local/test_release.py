"""`make release`: code reaches jobs only where a machine image fits it and a real job has said so."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.jobs import JOB_DEFINITION_NAME, job_definition
from contract.manifest import RUNTIME_ABI
from contract.plans import SHARES
from local.batch.subprocess_runner import Image
from local.runtime import REPOSITORY, write_manifest
from tools.release import NotReleased, failure_of, main, release, revisions

NEW = "registry.example/framebatch-analysis@sha256:1234"


@pytest.fixture
def ssm(clients: Callable[..., Any], aws_endpoint: str) -> Iterator[Any]:
    client = clients("ssm", aws_endpoint)
    yield client
    for page in client.get_paginator("get_parameters_by_path").paginate(Path="/framebatch", Recursive=True):
        for each in page["Parameters"]:
            client.delete_parameter(Name=each["Name"])


@pytest.fixture
def machine(tmp_path: Path, database_url: str) -> tuple[Path, str]:
    """What the machines of the queue carry, and the database."""
    path = tmp_path / "manifest.json"
    write_manifest(path, ())
    return path, database_url


@pytest.fixture
def account(
    batch_with: Callable[..., Any],
    machine: tuple[Path, str],
    tmp_path: Path,
    ssm: Any,
    aws_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """A queue, a first revision as Terraform makes it, and a published machine image."""
    manifest, database_url = machine
    image = Image(programs={"python": [sys.executable]}, directory=REPOSITORY)
    policy = {
        "shareDistribution": [{"shareIdentifier": each.identifier, "weightFactor": 1} for each in SHARES.values()]
    }
    running = batch_with(image=image, images=(NEW,), policy=policy)
    batch = running.client
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {
        "RUNTIME_MANIFEST": str(manifest),
        "SCRATCH_DIR": str(scratch),
        "MEDIA_BUCKET": "media",
        "DATABASE_URL": database_url,
        "PYTHONPATH": str(REPOSITORY),
    }
    batch.register_job_definition(
        **job_definition(
            image="old", environment=environment, secrets={}, vcpus=1, memory_mib=64, gpus=0, timeout_seconds=60
        )
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", running.server.url)
    _publish(ssm, manifest.read_text())
    return running


def _publish(ssm: Any, manifest: str, abi: int = RUNTIME_ABI) -> None:
    for name, value in (("manifest", manifest), ("image-id", "ami-0123")):
        ssm.put_parameter(Name=f"/framebatch/runtime/{abi}/g6/{name}", Value=value, Type="String", Overwrite=True)


def _release(*more: str) -> int:
    return main(["--image", NEW, "--queue", "q", "--wait-seconds", "60", *more])


def test_checked_code_becomes_what_jobs_start_from(account: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The check loads every model and asks the database, with the settings that jobs have."""
    assert _release() == 0, capsys.readouterr()

    new, old = revisions(account.client, JOB_DEFINITION_NAME)
    assert new["containerProperties"]["image"] == NEW
    assert capsys.readouterr().out.endswith(f"jobs start from {new['jobDefinitionArn']}\n")
    kept = ("environment", "resourceRequirements", "user", "mountPoints", "command")
    assert {name: new["containerProperties"][name] for name in kept} == {
        name: old["containerProperties"][name] for name in kept
    }
    assert new["retryStrategy"] == old["retryStrategy"]
    assert revisions(account.client, f"{JOB_DEFINITION_NAME}-candidate") == []


def test_an_abi_that_no_machine_image_has_is_refused(
    account: Any, ssm: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every job of the new code would fail."""
    for name in ("manifest", "image-id"):
        ssm.delete_parameter(Name=f"/framebatch/runtime/{RUNTIME_ABI}/g6/{name}")
    _publish(ssm, "{}", abi=RUNTIME_ABI + 1)

    assert _release() == 1

    assert capsys.readouterr().err == (
        f"This code needs runtime ABI {RUNTIME_ABI}, and no machine image of it is published; "
        f"published are {RUNTIME_ABI + 1}.\n"
    )
    assert len(revisions(account.client, JOB_DEFINITION_NAME)) == 1


def test_code_that_does_not_fit_changes_nothing(
    account: Any, machine: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The published manifest and the machine may differ: only a job on it can tell."""
    path, _ = machine
    document = json.loads(path.read_text())
    document["models"][0]["formats"]["openvino"]["files"] = dict.fromkeys(
        document["models"][0]["formats"]["openvino"]["files"], "0" * 64
    )
    path.write_text(json.dumps(document))

    assert _release() == 1

    assert "The check of the new code failed (exit code 65)" in capsys.readouterr().err
    (only,) = revisions(account.client, JOB_DEFINITION_NAME)
    assert only["containerProperties"]["image"] == "old"
    assert revisions(account.client, f"{JOB_DEFINITION_NAME}-candidate") == []
    assert "has another sha256 than the manifest says" in next(account.logs.rglob("*.log")).read_text()


def test_a_dry_run_changes_nothing(account: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert _release("--dry-run") == 0

    assert capsys.readouterr().out.startswith(f"would check {NEW} on q and register it after arn:")
    assert len(revisions(account.client, JOB_DEFINITION_NAME)) == 1


def test_a_release_can_be_taken_back(account: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Jobs name the definition without a revision, and so start from the newest that is active."""
    assert _release() == 0
    old = revisions(account.client, JOB_DEFINITION_NAME)[1]

    assert main(["--rollback", "--dry-run"]) == 0
    assert len(revisions(account.client, JOB_DEFINITION_NAME)) == 2
    assert main(["--rollback"]) == 0
    again = [main(["--rollback", *more]) for more in ([], ["--dry-run"])]

    (left,) = revisions(account.client, JOB_DEFINITION_NAME)
    assert left["jobDefinitionArn"] == old["jobDefinitionArn"]
    assert again == [1, 1]
    assert capsys.readouterr().err == f"There is no earlier revision of {JOB_DEFINITION_NAME}.\n" * 2


def test_a_revision_that_is_named_is_taken_back_once(account: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A release may end meanwhile, or somebody click twice: the newest would then be another, and go."""
    assert _release() == 0
    assert _release() == 0
    found = revisions(account.client, JOB_DEFINITION_NAME)
    newest, unwanted, oldest = (each["jobDefinitionArn"] for each in found)

    for _ in range(2):
        assert main(["--rollback", "--revision", unwanted.rpartition(":")[2]]) == 0

    left = [each["jobDefinitionArn"] for each in revisions(account.client, JOB_DEFINITION_NAME)]
    assert left == [newest, oldest]
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"took back {unwanted}; jobs start from {newest}",
        f"revision {unwanted.rpartition(':')[2]} of {JOB_DEFINITION_NAME} is not active; jobs start from {newest}",
    ]


class Interrupted:
    """A client of AWS Batch; when it is first asked about a job, `meanwhile` has happened."""

    def __init__(self, client: Any, meanwhile: Callable[[], None], *, knows: bool = True) -> None:
        self._client, self._meanwhile, self._knows = client, meanwhile, knows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def describe_jobs(self, **asked: Any) -> Any:
        self._meanwhile()
        self._meanwhile = lambda: None
        knows, self._knows = self._knows, True
        return self._client.describe_jobs(**asked) if knows else {"jobs": []}


def _released(batch: Any, ssm: Any) -> str:
    said: list[str] = []
    return release(batch, ssm, image=NEW, queue="q", name=JOB_DEFINITION_NAME, wait_seconds=60, say=said.append)


def test_what_was_registered_while_the_code_was_checked_is_not_taken_back(account: Any, ssm: Any) -> None:
    """Terraform has given jobs other settings, and the release would register those of before."""
    (before,) = revisions(account.client, JOB_DEFINITION_NAME)
    other = job_definition(
        image="old", environment={}, secrets={}, vcpus=1, memory_mib=128, gpus=0, timeout_seconds=60
    )

    def apply() -> None:
        account.client.register_job_definition(**other)

    with pytest.raises(NotReleased, match=r"While the new code was checked .*; release it again"):
        _released(Interrupted(account.client, apply), ssm)

    newest, first = revisions(account.client, JOB_DEFINITION_NAME)
    assert first["jobDefinitionArn"] == before["jobDefinitionArn"]
    assert {"type": "MEMORY", "value": "128"} in newest["containerProperties"]["resourceRequirements"]
    assert revisions(account.client, f"{JOB_DEFINITION_NAME}-candidate") == []


def test_a_job_that_aws_batch_does_not_know_yet_is_waited_for(account: Any, ssm: Any) -> None:
    """It has just taken it, and answers with no job at all."""
    made = _released(Interrupted(account.client, lambda: None, knows=False), ssm)

    assert revisions(account.client, JOB_DEFINITION_NAME)[0]["jobDefinitionArn"] == made


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        pytest.param(
            {"statusReason": "Essential container in task exited", "container": {"exitCode": 65}},
            "exit code 65",
            id="the check says so",
        ),
        pytest.param(
            {"statusReason": "Task failed to start", "container": {"reason": "CannotPullContainerError: denied"}},
            "CannotPullContainerError: denied",
            id="no image",
        ),
        pytest.param(
            {"statusReason": "Host EC2 (instance i-0123) terminated.", "container": {}},
            "Host EC2 (instance i-0123) terminated.",
            id="Spot took the machine",
        ),
    ],
)
def test_whoever_releases_hears_why_the_check_failed(job: dict[str, Any], reason: str) -> None:
    """AWS Batch says it in three places, and "exit code None" sends nobody to the right one."""
    assert failure_of(job) == reason


def test_nothing_is_released_without_a_first_definition(
    batch: Any,
    ssm: Any,
    machine: tuple[Path, str],
    aws_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", batch.server.url)
    _publish(ssm, machine[0].read_text())

    assert _release() == 1

    assert capsys.readouterr().err == (
        f"There is no job definition {JOB_DEFINITION_NAME}; Terraform makes the first one.\n"
    )
