"""`make up` and `make down`, as a person uses them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from client import Client
from demo.video import make_demo_video
from local.stack import StackSettings, running_stack
from tests.ports import port_of, reserved_port

REPOSITORY = Path(__file__).resolve().parents[2]


class Terminal:
    """Runs `python -m local` and collects what it prints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "local", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=150)
        return process.returncode, output

    def serving(self, port: int) -> subprocess.Popen[str]:
        process = self.start("up", "--port", str(port), "--folder", str(self.folder))
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C" in line:
                return process
        raise AssertionError(f"up ended with {process.wait()}")

    def leftovers(self) -> list[str]:
        """Live processes that know this stack's folder: servers, services, jobs."""
        found = []
        for process in psutil.process_iter():
            try:
                text = " ".join([*process.cmdline(), process.environ().get("RUNTIME_MANIFEST", "")])
            except psutil.Error:
                continue
            if str(self.folder) in text and process.status() != psutil.STATUS_ZOMBIE:
                found.append(text)
        return found


@pytest.fixture
def terminal(tmp_path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path / "stack")
    yield terminal
    for process in terminal.processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(120)
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def port() -> Iterator[int]:
    with reserved_port() as place:
        yield port_of(place)


def test_one_checkout_serves_once_and_says_so(terminal, tmp_path, port):
    """A second `make up` and a port in use are everyday mistakes; each gets a sentence and harms nothing."""
    first = terminal.serving(port)

    again = terminal.run("up", "--port", str(port + 1), "--folder", str(terminal.folder))
    elsewhere = terminal.run("up", "--port", str(port), "--folder", str(tmp_path / "other"))

    assert again == (1, f"The stack already runs on port {port} (process {first.pid}); `make down` stops it.\n")
    assert (elsewhere[0], elsewhere[1].splitlines()[-1].startswith(f"Port {port} is in use")) == (1, True)
    assert httpx.get(f"http://localhost:{port}/readyz", trust_env=False, timeout=90).status_code == 200

    assert terminal.run("down", "--folder", str(terminal.folder)) == (0, "stopped\n")
    assert first.wait(60) == 0
    assert terminal.leftovers() == []
    assert terminal.run("down", "--folder", str(terminal.folder)) == (0, "no stack is running\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_a_stack_that_ends_leaves_no_process_and_no_lock(terminal, port, number):
    """Whatever stays behind holds a port or a database the next start needs."""
    process = terminal.serving(port)

    process.send_signal(number)
    process.wait(120)

    if number == signal.SIGINT:
        assert process.returncode == 0
        assert not (terminal.folder / "stack.json").exists()
        assert terminal.leftovers() == []
    else:
        # Only PostgreSQL outlives a killed supervisor; `make down`, like the next start, takes it over first.
        wait_until(lambda: all("postgres" in line for line in terminal.leftovers()))
        assert terminal.run("down", "--folder", str(terminal.folder))[0] == 0
        wait_until(lambda: terminal.leftovers() == [])


def test_results_outlive_the_stack_and_unfinished_work_is_closed(tmp_path):
    """The queue and the jobs are in memory, so what was under way must not wait for ever."""
    video = make_demo_video(tmp_path / "scene.mp4", seconds=8)
    longer = make_demo_video(tmp_path / "longer.mp4", seconds=30)  # so that it cannot end while the stack does
    settings = StackSettings(folder=tmp_path / "stack", port=0, job_environment={"CHUNK_FRAMES": "8"})
    with running_stack(settings) as stack, Client(stack.url, stack.api_key) as client:
        video_id = client.upload(video.path)["id"]
        longer_id = client.upload(longer.path)["id"]
        finished = client.request_analysis(video_id, model="demo-shapes")["id"]
        before = client.wait(finished, seconds=240)
        unfinished = client.request_analysis(longer_id, model="demo-shapes")["id"]
        wait_until(lambda: client.analysis(unfinished)["status"] == "running")

    with running_stack(settings) as stack, Client(stack.url, stack.api_key) as client:
        after = client.analysis(finished)
        lost = client.analysis(unfinished)
        headers = {"Authorization": f"Api-Key {stack.api_key}"}
        page = httpx.get(
            stack.url + after["links"]["thumbnails"], headers=headers, trust_env=False, timeout=90
        ).json()
        picture = httpx.get(page["results"][0]["url"], trust_env=False, timeout=90)
        again = client.wait(client.request_analysis(video_id, model="demo-shapes")["id"], seconds=240)

    # The job tells its own end a moment after the analysis is over.
    assert after == before | {"batch_state": after["batch_state"]}
    assert (lost["status"], lost["error"]["code"]) == ("failed", "job_lost")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    assert again["summary"]["detections"] == before["summary"]["detections"]


def wait_until(true, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)
