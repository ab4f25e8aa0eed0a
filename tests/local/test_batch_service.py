"""Real processes behind a real HTTP server, driven by plain boto3. Quotations: AWS Batch user guide and API
reference.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.batch.subprocess_runner import Image, read_images
from tests.local.programs import EXIT_ON_SIGTERM, IGNORE_SIGTERM

JSON = {"Content-Type": "application/json"}
PRINT_ENVIRONMENT = "import json, os; print(json.dumps(dict(os.environ)))"


def is_alive(pid: int) -> bool:
    """A zombie that nobody has reaped yet does not count."""
    if not Path("/proc/self").exists():
        return bool(subprocess.run(["ps", "-p", str(pid)], stdout=subprocess.DEVNULL, check=False).returncode == 0)
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_job_has_the_environment_of_a_container_and_nothing_else(
    batch_with: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "All variables that AWS Batch set start with the AWS_BATCH_ prefix." Nothing is inherited from the host."""
    monkeypatch.setenv("HOST_SECRET", "x")
    image = Image(programs={"python": [sys.executable]}, environment={"FROM_IMAGE": "1", "BOTH": "image"})
    batch = batch_with(image=image)
    job = batch.finished(
        batch.run(PRINT_ENVIRONMENT, containerOverrides={"environment": [{"name": "BOTH", "value": "override"}]})
    )
    found = json.loads(batch.log(job["attempts"][0]))
    found.pop("LC_CTYPE", None)  # Python's own doing in the C locale
    assert len(found.pop("HOSTNAME")) == 12
    assert found == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/",
        "FROM_IMAGE": "1",
        "BOTH": "override",
        "AWS_BATCH_JOB_ID": job["jobId"],
        "AWS_BATCH_JOB_ATTEMPT": "1",
        "AWS_BATCH_JQ_NAME": "q",
        "AWS_BATCH_CE_NAME": "ce",
    }


def test_array_children_know_their_index_and_size(batch: Any) -> None:
    """ "The array job index begins at 0 [...]"; "[...] set to the size of the parent array job"."""
    code = "import os; print(os.environ['AWS_BATCH_JOB_ARRAY_INDEX'], os.environ['AWS_BATCH_JOB_ARRAY_SIZE'])"
    parent = batch.finished(batch.run(code, arrayProperties={"size": 2}))
    children = [batch.job(f"{parent['jobId']}:{index}") for index in range(2)]
    assert [batch.log(child["attempts"][0]) for child in children] == ["0 2\n", "1 2\n"]
    assert parent["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 2


def test_secrets_come_from_secrets_manager(
    batch: Any, documents: Any, clients: Callable[..., Any], aws_endpoint: str
) -> None:
    """valueFrom: "The supported values are [...] the full Amazon Resource Name (ARN) of the Secrets Manager
    secret".
    """
    secrets = clients("secretsmanager", aws_endpoint)
    plain = secrets.create_secret(Name=f"plain{time.time_ns()}", SecretString="s3cret")["ARN"]
    keyed = secrets.create_secret(Name=f"keyed{time.time_ns()}", SecretString='{"url": "postgres:"}')["ARN"]
    definition = documents.definition("secretive")
    definition["containerProperties"]["secrets"] = [
        {"name": "PLAIN", "valueFrom": plain},
        {"name": "KEYED", "valueFrom": f"{keyed}:url::"},
    ]
    batch.client.register_job_definition(**definition)
    job = batch.finished(
        batch.run("import os; print(os.environ['PLAIN'], os.environ['KEYED'])", jobDefinition="secretive")
    )
    assert batch.log(job["attempts"][0]) == "s3cret postgres:\n"


def test_a_missing_secret_fails_the_attempt_before_it_starts(batch: Any, documents: Any) -> None:
    definition = documents.definition("secretive")
    arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:nothing-AbCdEf"
    definition["containerProperties"]["secrets"] = [{"name": "KEY", "valueFrom": arn}]
    batch.client.register_job_definition(**definition)
    job = batch.finished(batch.run(jobDefinition="secretive"))
    (attempt,) = job["attempts"]
    assert attempt["container"]["reason"].startswith("ResourceInitializationError: unable to pull secrets")
    assert (attempt["statusReason"], "startedAt" in attempt) == ("Task failed to start", False)


def test_an_unknown_image_cannot_be_pulled(batch: Any, documents: Any) -> None:
    definition = documents.definition("missing")
    definition["containerProperties"]["image"] = "nowhere/nothing:latest"
    batch.client.register_job_definition(**definition)
    job = batch.finished(batch.run(jobDefinition="missing"))
    assert job["container"]["reason"].startswith("CannotPullContainerError")


def test_an_unknown_program_cannot_be_started(batch: Any) -> None:
    job = batch.finished(batch.run(containerOverrides={"command": ["/no/such/program"]}))
    assert job["container"]["reason"].startswith("CannotStartContainerError")
    assert job["container"]["exitCode"] == 127


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        pytest.param("raise SystemExit(65)", 65, id="its own exit code"),
        pytest.param("import os; os.kill(os.getpid(), 9)", 137, id="SIGKILL is 128 + 9"),
        pytest.param("import os; os.kill(os.getpid(), 15)", 143, id="SIGTERM is 128 + 15"),
    ],
)
def test_exit_codes_are_those_of_docker(batch: Any, code: str, exit_code: int) -> None:
    job = batch.finished(batch.run(code))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", exit_code)
    assert job["statusReason"] == job["attempts"][0]["statusReason"] == "Essential container in task exited"


def test_placeholders_of_the_command_are_filled(batch: Any, documents: Any) -> None:
    """ "Parameters in a SubmitJob request override any corresponding parameter defaults from the job
    definition."
    """
    definition = documents.definition("greeting")
    definition["containerProperties"]["command"] = ["python", "-c", "print('Ref::word', 'Ref::other')"]
    batch.client.register_job_definition(**definition, parameters={"word": "hello", "other": "moon"})
    job_id = batch.client.submit_job(
        jobName="j", jobQueue="q", jobDefinition="greeting", parameters={"other": "world"}
    )["jobId"]
    assert batch.log(batch.finished(job_id)["attempts"][0]) == "hello world\n"


def test_paths_of_mounts_become_local_ones(batch_with: Callable[..., Any], tmp_path: Path) -> None:
    """A process has no mounts: what names a place under one must name the local place."""
    (tmp_path / "models").mkdir()
    image = Image(programs={"python": [sys.executable]}, mounts={"/opt/models": str(tmp_path / "models")})
    batch = batch_with(image=image)
    variables = [{"name": "MODEL", "value": "/opt/models/a.pt"}, {"name": "OTHER", "value": "/opt/models-old"}]
    job = batch.finished(
        batch.run(
            "import os, sys; print(os.environ['MODEL'], os.environ['OTHER'], sys.argv[1])",
            containerOverrides={
                "environment": variables,
                "command": [
                    "python",
                    "-c",
                    "import os, sys; print(os.environ['MODEL'], os.environ['OTHER'], sys.argv[1])",
                    "/opt/models",
                ],
            },
        )
    )
    assert batch.log(job["attempts"][0]).split() == [
        f"{tmp_path}/models/a.pt",
        "/opt/models-old",
        f"{tmp_path}/models",
    ]


def test_terminate_gives_the_job_a_chance_to_end(batch: Any) -> None:
    """ "[...] your job's container receives a SIGTERM signal to give your application a chance to shut down
    gracefully", and "the reason [...] is returned by future DescribeJobs operations".
    """
    job_id = batch.run(EXIT_ON_SIGTERM, retryStrategy={"attempts": 3})
    batch.ready(job_id)
    batch.client.terminate_job(jobId=job_id, reason="no longer wanted")
    job = batch.finished(job_id)
    assert (job["statusReason"], job["isTerminated"]) == ("no longer wanted", True)
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [75]


def test_a_job_that_ignores_sigterm_is_killed_with_all_it_started(
    batch_with: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """ "If the container is still running after 30 seconds, a SIGKILL signal is sent to forcefully shut down the
    container."
    """
    batch = batch_with(stop_grace_seconds=0.3)
    code = f"""
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
{IGNORE_SIGTERM}
"""
    job_id = batch.run(code)
    child = int(batch.log(batch.ready(job_id)["container"]).split()[0])
    batch.client.terminate_job(jobId=job_id, reason="enough")
    assert batch.finished(job_id)["container"]["exitCode"] == 137
    eventually(lambda: not is_alive(child))


def test_what_a_job_leaves_behind_ends_with_it(batch: Any, eventually: Callable[..., Any]) -> None:
    """A container ends with its main process."""
    code = """
import subprocess, sys
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
"""
    job = batch.finished(batch.run(code))
    assert job["status"] == "SUCCEEDED"
    child = int(batch.log(job["attempts"][0]))
    eventually(lambda: not is_alive(child))


def test_a_timeout_ends_the_job(batch_with: Callable[..., Any]) -> None:
    """The scale makes the 60 seconds that AWS Batch demands at least last 0.3."""
    batch = batch_with(time_scale=0.005)
    job = batch.finished(
        batch.run(
            "import time; time.sleep(600)",
            timeout={"attemptDurationSeconds": 60},
            retryStrategy={"attempts": 3},
        )
    )
    assert job["statusReason"] == "Job attempt duration exceeded timeout"
    assert (len(job["attempts"]), job["container"]["exitCode"]) == (1, 143)


def test_a_reclaimed_host_stops_the_job_and_the_job_runs_again(batch: Any) -> None:
    """Spot: SIGTERM first, then the machine is gone, and with it the exit code."""
    code = f"import os\nif os.environ['AWS_BATCH_JOB_ATTEMPT'] == '2': raise SystemExit(0)\n{EXIT_ON_SIGTERM}"
    rules = [{"onStatusReason": "Host EC2*", "action": "RETRY"}, {"onReason": "*", "action": "EXIT"}]
    job_id = batch.run(code, retryStrategy={"attempts": 2, "evaluateOnExit": rules})
    batch.ready(job_id)
    batch.service.reclaim_host(job_id)
    job = batch.finished(job_id)
    first, second = job["attempts"]
    assert (job["status"], "exitCode" in first["container"]) == ("SUCCEEDED", False)
    assert first["statusReason"].startswith("Host EC2 (instance i-0")
    assert second["container"]["exitCode"] == 0


def test_closing_the_service_ends_its_jobs(batch_with: Callable[..., Any]) -> None:
    batch = batch_with()
    job_id = batch.run(f"import os; print(os.getpid())\n{IGNORE_SIGTERM}")
    pid = int(batch.log(batch.ready(job_id)["container"]).split()[0])
    started = time.monotonic()
    batch.service.close()
    assert not is_alive(pid)
    assert time.monotonic() - started < 60  # by itself it would end after ten minutes


SERVICE = """
import sys
from pathlib import Path
from local.batch.capacity import Resources
from local.batch.containers import Container
from local.batch.subprocess_runner import Image, SubprocessRunner

code, log_path = sys.argv[1:]
runner = SubprocessRunner({"python": Image(programs={"python": [sys.executable]})})
container = Container(
    name="job",
    image="python",
    command=("python", "-c", code),
    environment={},
    resources=Resources(),
    mounts=(),
    log_path=Path(log_path),
)
running = runner.start(container)
print("started", flush=True)
running.wait()
"""


def test_a_killed_service_leaves_no_job_behind(tmp_path: Path, eventually: Callable[..., Any]) -> None:
    """Nobody could reach such a job any more, and it would go on writing results."""
    log = tmp_path / "log"
    code = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(os.getpid(), child.pid)
{IGNORE_SIGTERM}
"""
    command = [sys.executable, "-c", SERVICE, code, str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        assert service.stdout.readline() == "started\n"
        eventually(lambda: log.exists() and "ready" in log.read_text())
        service.kill()
    pids = [int(pid) for pid in log.read_text().split()[:2]]
    eventually(lambda: not any(is_alive(pid) for pid in pids))


class TestDescriptions:
    def test_definitions_have_revisions(self, batch: Any, documents: Any) -> None:
        """ "If the revision is not specified, then the latest active revision is used." """
        assert batch.client.register_job_definition(**documents.definition())["revision"] == 2
        job = batch.job(batch.run())
        assert job["jobDefinition"].endswith(":job-definition/work:2")
        batch.client.deregister_job_definition(jobDefinition="work:2")
        active = batch.client.describe_job_definitions(jobDefinitionName="work", status="ACTIVE")["jobDefinitions"]
        assert [definition["revision"] for definition in active] == [1]

    def test_queues_environments_and_policies_are_described(self, batch_with: Callable[..., Any]) -> None:
        batch = batch_with(policy={"shareDistribution": [{"shareIdentifier": "pro", "weightFactor": 0.5}]})
        (queue,) = batch.client.describe_job_queues(jobQueues=["q"])["jobQueues"]
        (environment,) = batch.client.describe_compute_environments()["computeEnvironments"]
        (policy,) = batch.client.describe_scheduling_policies(arns=[queue["schedulingPolicyArn"]])[
            "schedulingPolicies"
        ]
        assert (queue["state"], queue["status"]) == ("ENABLED", "VALID")
        order = [{"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}]
        assert queue["computeEnvironmentOrder"] == order
        assert policy["fairsharePolicy"]["shareDistribution"] == [{"shareIdentifier": "pro", "weightFactor": 0.5}]

    def test_unknown_jobs_are_left_out(self, batch: Any) -> None:
        job_id = batch.run()
        found = batch.client.describe_jobs(jobs=["nothing", job_id])["jobs"]
        assert [job["jobId"] for job in found] == [job_id]
        batch.finished(job_id)


def test_images_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "images.json"
    path.write_text('{"a": {"programs": {"python": ["/usr/bin/python3", "-X", "dev"]}, "directory": "/tmp"}}')
    image = read_images(path)["a"]
    assert image.argv(["python", "-m", "job"]) == ["/usr/bin/python3", "-X", "dev", "-m", "job"]
    path.write_text('{"a": {"program": {}}}')
    with pytest.raises(ValueError, match="no program"):
        read_images(path)
