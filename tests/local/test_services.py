"""Processes of the stack and a Ctrl-C that comes at the worst moment."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.services import Service, stop_on_signals


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    stop_on_signals()
    service = Service(
        name="sleeper",
        argv=[sys.executable, "-c", "import time; time.sleep(60)"],
        environment={},
        log_folder=tmp_path,
    )
    yield service
    for number, handler in before.items():
        signal.signal(number, handler)
    if service.process is not None:
        service.process.kill()


class InterruptedWhenTaken:
    """The lock of a `Popen`, and a Ctrl-C between its being taken and the `try` that gives it back."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.lock = process._waitpid_lock  # type: ignore[attr-defined]

    def acquire(self, blocking: bool = True) -> bool:
        taken: bool = self.lock.acquire(blocking)
        signal.raise_signal(signal.SIGINT)
        return taken

    def release(self) -> None:
        self.lock.release()


@pytest.mark.parametrize("look", [Service.keep_alive, lambda service: service.wait_until(lambda: False)])
def test_a_service_that_was_being_looked_at_can_be_stopped(service, look):
    """`make up` once stood for ever after a Ctrl-C, which had left the lock of a process taken."""
    service.start()
    process = service.process
    lock = process._waitpid_lock
    process._waitpid_lock = InterruptedWhenTaken(process)

    with pytest.raises(KeyboardInterrupt):
        look(service)
    process._waitpid_lock = lock

    assert not lock.locked()
    service.stop()
    assert process.returncode == -signal.SIGTERM


def test_a_service_that_is_being_started_is_known_and_can_be_stopped(service, monkeypatch):
    started = []

    class Interrupted(subprocess.Popen):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            started.append(self)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)

    with pytest.raises(KeyboardInterrupt):
        service.start()
    service.stop()

    assert [process.returncode for process in started] == [-signal.SIGTERM]


def test_a_second_ctrl_c_does_not_disturb_the_stopping(service):
    service.start()
    process = service.process
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    process._waitpid_lock = InterruptedWhenTaken(process)

    service.stop()

    assert process.returncode == -signal.SIGTERM
