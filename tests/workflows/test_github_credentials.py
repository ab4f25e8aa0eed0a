"""What a job on GitHub gets for saying who it is, asked as AWS' libraries ask."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tools import github_credentials

REPOSITORY = Path(__file__).parents[2]
ROLE = "arn:aws:iam::123456789012:role/release"
_WHO = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


@dataclass(kw_only=True)
class GitHub:
    url: str = ""
    asked: list[str] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)  # statuses of the next answers, before it says anything
    content: bytes = b'{"value": "a.token.of-github"}'
    answers: threading.Event = field(default_factory=threading.Event)  # only while it is set


@pytest.fixture
def github() -> Iterator[GitHub]:
    """Gives tokens for the right audience to whoever has the job's own."""
    github = GitHub()
    github.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            github.asked.append(self.path)
            github.answers.wait()
            known = self.headers["Authorization"] == "bearer the-job"
            known = known and parse_qs(urlsplit(self.path).query)["audience"] == ["sts.amazonaws.com"]
            self.send_response(github.failures.pop(0) if github.failures else 200 if known else 403)
            self.send_header("Content-Length", str(len(github.content)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(github.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        github.url = f"http://127.0.0.1:{server.server_port}/token?version=1"
        yield github
        github.answers.set()
        server.shutdown()


@pytest.fixture
def job(github: GitHub, aws_endpoint: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a step; it has no key of AWS."""
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    }
    return own | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "GITHUB_WORKSPACE": str(REPOSITORY),
        "GITHUB_RUN_ID": "77",
        "ROLE_ARN": ROLE,
        "ACTIONS_ID_TOKEN_REQUEST_URL": github.url,
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "the-job",
        "NO_PROXY": "127.0.0.1",
    }


@pytest.mark.parametrize(("workflow", "name"), [("release", "release"), ("release", "rollback"), ("bake", "bake")])
def test_each_step_has_the_role_whenever_it_asks(
    job: dict[str, str], github: GitHub, workflow: str, name: str
) -> None:
    """GitHub's token is good for five minutes, and a bake takes longer: every process gets a new one."""
    steps = yaml.safe_load((REPOSITORY / ".github" / "workflows" / f"{workflow}.yml").read_text())["jobs"][name][
        "steps"
    ]
    (script,) = [step["run"] for step in steps if step.get("name") == "Take the role"]
    subprocess.run(["bash", "-c", script], env=job, check=True)
    assert github.asked == []

    for times in (1, 2):
        done = subprocess.run([sys.executable, "-c", _WHO], env=job, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == "arn:aws:sts::123456789012:assumed-role/release/github-77", done.stderr
        assert len(github.asked) == times


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            {"ACTIONS_ID_TOKEN_REQUEST_URL": None}, "ACTIONS_ID_TOKEN_REQUEST_URL is not set: ", id="no right"
        ),
        pytest.param({"ROLE_ARN": None}, "ROLE_ARN is not set: ", id="no role"),
        pytest.param(
            {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "another"},
            "GitHub does not say who this job is: ",
            id="refused by GitHub",
        ),
        pytest.param(
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"},
            "AWS does not give this job its role: ",
            id="no answer of AWS",
        ),
    ],
)
def test_what_is_missing_is_one_sentence(
    job: dict[str, str], change: dict[str, str | None], sentence: str
) -> None:
    environment = {name: value for name, value in (job | change).items() if value is not None}
    command = [sys.executable, REPOSITORY / "tools" / "github_credentials.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1


def test_one_refusal_ends_no_bake(job: dict[str, str], github: GitHub) -> None:
    github.failures = [503]
    command = [sys.executable, REPOSITORY / "tools" / "github_credentials.py"]
    done = subprocess.run(command, env=job, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(github.asked) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(None, "timed out", id="none in time"),
        pytest.param(b"<html>", "Expecting value", id="no JSON"),
        pytest.param(b"[]", "its answer holds no token", id="no object"),
        pytest.param(b'{"message": "sorry"}', "its answer holds no token", id="no token"),
    ],
)
def test_an_answer_that_is_none_is_one_sentence(
    job: dict[str, str],
    github: GitHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: bytes | None,
    reason: str,
) -> None:
    """A traceback in place of it would be all that the log of a bake says."""
    monkeypatch.setattr(github_credentials, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(github_credentials, "PAUSE_SECONDS", 0.0)
    if answer is None:
        github.answers.clear()
    else:
        github.content = answer

    assert github_credentials.main(job) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"GitHub does not say who this job is: {reason}")
    assert said.err.count("\n") == 1
    assert len(github.asked) == 2
