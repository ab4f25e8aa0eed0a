"""What a job on GitHub gets for saying who it is, asked as AWS' libraries ask."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
ROLE = "arn:aws:iam::123456789012:role/release"
_WHO = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


@pytest.fixture
def github() -> Iterator[tuple[str, list[str]]]:
    """Gives tokens for the right audience to whoever has the job's own; also what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            known = self.headers["Authorization"] == "bearer the-job"
            known = known and parse_qs(urlsplit(self.path).query)["audience"] == ["sts.amazonaws.com"]
            content = json.dumps({"value": "a.token.of-github"}).encode()
            self.send_response(200 if known else 403)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/token?version=1", asked
        server.shutdown()


@pytest.fixture
def job(github: tuple[str, list[str]], aws_endpoint: str, tmp_path: Path) -> dict[str, str]:
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
        "ACTIONS_ID_TOKEN_REQUEST_URL": github[0],
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "the-job",
        "NO_PROXY": "127.0.0.1",
    }


@pytest.mark.parametrize(("workflow", "name"), [("release", "release"), ("release", "rollback"), ("bake", "bake")])
def test_each_step_has_the_role_whenever_it_asks(
    job: dict[str, str], github: tuple[str, list[str]], workflow: str, name: str
) -> None:
    """GitHub's token is good for five minutes, and a bake takes longer: every process gets a new one."""
    steps = yaml.safe_load((REPOSITORY / ".github" / "workflows" / f"{workflow}.yml").read_text())["jobs"][name][
        "steps"
    ]
    (script,) = [step["run"] for step in steps if step.get("name") == "Take the role"]
    subprocess.run(["bash", "-c", script], env=job, check=True)
    assert github[1] == []

    for times in (1, 2):
        done = subprocess.run([sys.executable, "-c", _WHO], env=job, capture_output=True, text=True, check=False)
        assert done.stdout.strip() == "arn:aws:sts::123456789012:assumed-role/release/github-77", done.stderr
        assert len(github[1]) == times


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
