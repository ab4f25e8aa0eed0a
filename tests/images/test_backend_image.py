"""The backend's image: API, worker and migrations as an orchestrator runs them, against a real PostgreSQL."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contract.manifest import RUNTIME_ABI
from local.ports import free_port
from local.runtime import write_manifest
from tests.images.bake import wait_until
from tests.images.podman import Podman, debian
from tools import images

# Another worker than the job's image: neither needs what the other waits for.
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("backend-image"), pytest.mark.timeout(900)]

BASE = "localhost/python:test"
TAG = "localhost/framebatch-backend:test"
# What python:3.11-slim-bookworm is made of, as far as the image uses it.
_PACKAGES = "python3,python-is-python3,dash,coreutils,ca-certificates,tzdata,netbase,media-types,libstdc++6,zlib1g"


@pytest.fixture(scope="session")
def backend_context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backend") / "context"
    images.lay_out(images.BACKEND, folder)
    return folder


@pytest.fixture(scope="session")
def backend_image(podman: Podman, backend_context: Path) -> str:
    archive = podman.folder / "python.tar"
    debian(archive, "--variant=extract", f"--include={_PACKAGES}")
    podman.call("import", str(archive), BASE)
    archive.unlink()
    images.build(images.BACKEND, "podman", TAG, context=backend_context, base=BASE)
    return TAG


@pytest.fixture
def environment(postgres, aws_endpoint: str, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Of a container; the database is empty."""
    name = f"backend_{time.monotonic_ns()}"
    postgres.create(name)
    yield {
        "SECRET_KEY": "only-for-tests-only-for-tests-only-for-tests",
        "ALLOWED_HOSTS": "example.org",
        "HTTPS": "true",
        "FORWARDED_ALLOW_IPS": "127.0.0.1",
        "DATABASE_URL": postgres.url(name),
        "MEDIA_BUCKET": "media",
        "REQUESTS_QUEUE_URL": f"{aws_endpoint}/123456789012/requests",
        "DEAD_REQUESTS_QUEUE_URL": f"{aws_endpoint}/123456789012/requests-dead-letters",
        "JOB_EVENTS_QUEUE_URL": f"{aws_endpoint}/123456789012/job-events",
        "RUNTIME_MANIFEST": "/tmp/manifest.json",
        "MANIFEST": write_manifest(tmp_path / "manifest.json", ()).to_json(),
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    postgres.drop(name)


def test_it_migrates_serves_and_works(podman: Podman, backend_image: str, environment: dict[str, str]):
    """Three commands of one image, read-only and not as root."""
    migrated = _run(podman, environment, "python", "-m", "backend.manage", "migrate", "--no-input")
    assert migrated.returncode == 0, migrated.stderr
    assert "Applying videos.0001_initial... OK" in migrated.stdout

    port = free_port()
    command = [word if word != "8000" else str(port) for word in podman.image(backend_image)["Config"]["Cmd"]]
    _run(podman, environment, *command, options=("--detach", "--name", "api"))
    _run(
        podman,
        environment,
        "python",
        "-m",
        "backend.manage",
        "run_worker",
        options=("--detach", "--name", "worker"),
    )
    try:
        _wait_for(podman, port)
        # As a load balancer passes it on: only so does the address in the browser begin with https.
        headers = {"Host": "example.org", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
            page = client.get("/login")
            assert page.status_code == 200, page.text
            style = re.search(r'href="(/static/[^"]+\.[0-9a-f]{12}\.css)"', page.text)
            assert style, page.text
            served = client.get(style[1], headers={"Accept-Encoding": "gzip"})
            assert served.status_code == 200
            assert served.headers["content-encoding"] == "gzip"
            assert "immutable" in served.headers["cache-control"]
            assert client.get("/login", headers={"X-Forwarded-Proto": "http"}).status_code == 301
        assert podman.call("inspect", "--format", "{{.State.Status}}", "worker").stdout == "running\n"
        for name in ("api", "worker"):
            podman.call("stop", "--time", "20", name)
            state = podman.call("inspect", "--format", "{{.State.ExitCode}}", name).stdout
            assert state == "0\n", podman.call("logs", name).stderr
    finally:
        podman.call("rm", "--force", "api", "worker", check=False)


def test_it_says_what_it_is(podman: Podman, backend_image: str):
    configuration = podman.image(backend_image)["Config"]

    assert configuration["Labels"]["framebatch.runtime-abi"] == str(RUNTIME_ABI)
    assert configuration["Labels"]["org.opencontainers.image.revision"] == images.revision()
    assert configuration["User"] == "1000:1000"
    assert "/healthz" in json.dumps(podman.image(backend_image))


def test_equal_input_gives_the_same_image(podman: Podman, backend_image: str, tmp_path: Path):
    """Static files are collected in the build, and must not carry its hour."""
    elsewhere = tmp_path / "context"
    images.lay_out(images.BACKEND, elsewhere)
    images.build(images.BACKEND, "podman", "localhost/again:test", context=elsewhere, base=BASE, cached=False)

    assert podman.image("localhost/again:test")["RootFS"] == podman.image(backend_image)["RootFS"]


def test_the_bill_of_materials_names_every_package(podman: Podman, backend_image: str):
    """With its sha256, so that a notice of a vulnerability can be held against what runs."""
    reading = "print(open('/opt/dependencies/sbom.cdx.json').read())"
    bill = json.loads(podman.call("run", "--rm", backend_image, "python", "-c", reading).stdout)
    lock = [line for line in images.BACKEND.lock.read_text().splitlines() if not line.startswith("#")]

    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert all(each["purl"].startswith("pkg:pypi/") for each in bill["components"])
    digests = [each["hashes"][0]["content"] for each in bill["components"]]
    assert digests == [line.rpartition("sha256:")[2] for line in lock]


def _run(podman: Podman, environment: dict[str, str], *command: str, options: tuple[str, ...] = ("--rm",)):
    given = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    confined = [
        "--network",
        "host",
        "--cap-drop",
        "ALL",
        "--read-only",
        "--read-only-tmpfs=false",
        "--tmpfs",
        "/tmp",
    ]
    # As the task definition does it: the manifest comes from Systems Manager, in a variable.
    script = 'printf %s "$MANIFEST" > "$RUNTIME_MANIFEST" && exec "$@"'
    return podman.call("run", *options, *confined, *given, TAG, "sh", "-c", script, "sh", *command, check=False)


def _wait_for(podman: Podman, port: int) -> None:
    def answers() -> bool:
        assert podman.call("inspect", "--format", "{{.State.Status}}", "api").stdout == "running\n", podman.call(
            "logs", "api"
        ).stderr
        try:
            return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(answers, 60)
