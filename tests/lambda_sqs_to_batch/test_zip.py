"""The deployment package: small, the same bytes from the same sources, and whole."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from contract.messages import AnalysisRequest
from tools.lambda_zip import REPOSITORY, build

MOST_BYTES = 100_000

# What Lambda's runtime does: the package is all there is of ours, boto3 is there already.
RUNTIME = """
import json, sys
sys.path[:0] = [{package!r}, {site!r}]
from lambda_sqs_to_batch.handler import handler
answer = handler(json.loads({event!r}), None)
ours = [name for name in sys.modules if name.partition(".")[0] in ("contract", "lambda_sqs_to_batch")]
assert all(sys.modules[name].__file__.startswith({package!r}) for name in ours), ours
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("zip") / "function.zip"
    build(path)
    return path


def test_it_is_small(package):
    """It is loaded at every cold start."""
    assert package.stat().st_size <= MOST_BYTES


def test_equal_sources_give_equal_bytes(package, tmp_path):
    """A deploy that changes nothing must not look like one that does: another folder, other times and modes."""
    for name in ("contract", "lambda_sqs_to_batch"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    for path in tmp_path.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)

    build(tmp_path / "again.zip", tmp_path)

    assert (tmp_path / "again.zip").read_bytes() == package.read_bytes()


def test_what_the_handler_does_not_import_stays_outside(package):
    """A change of the backend's tables is no new version of the function."""
    names = zipfile.ZipFile(package).namelist()

    assert names == sorted(names)
    assert "contract/messages.py" in names
    assert not {"contract/tables.py", "contract/results.py"} & set(names)


def test_it_works_alone(package, job_events_queue, tmp_path):
    """Batch is out of reach here, so that a good request is left for another delivery and a bad one is told."""
    good = AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/v", model="m").to_json()
    records = [{"messageId": "good", "body": good}, {"messageId": "bad", "body": "?"}]
    site = str(Path(boto3.__file__).parents[1])
    code = RUNTIME.format(package=str(package), site=site, event=json.dumps({"Records": records}))
    environment = {name: value for name, value in os.environ.items() if name.startswith("AWS_")} | {
        "JOB_QUEUE": "q",
        "JOB_DEFINITION": "d",
        "JOB_EVENTS_QUEUE_URL": job_events_queue.url,
        "AWS_ENDPOINT_URL_BATCH": "http://127.0.0.1:1",
        "AWS_LAMBDA_FUNCTION_NAME": "framebatch-sqs-to-batch",
    }

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    *lines, answer = done.stdout.splitlines()
    assert json.loads(answer) == {"batchItemFailures": [{"itemIdentifier": "good"}]}
    assert [json.loads(line)["event"] for line in lines] == ["submission postponed", "request refused"]
    assert [json.loads(body)["detail"]["message_id"] for body in job_events_queue.bodies()] == ["bad"]
