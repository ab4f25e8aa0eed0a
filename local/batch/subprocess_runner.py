"""Runs a container's command as a process of this machine, with the container's environment and no more."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.batch import keeper
from local.batch.containers import Container, ContainerNotStarted

_SIGNAL_BASE = 128
_COMMAND_NOT_FOUND = 127
_HAS_WAITID = hasattr(os, "waitid")  # Python 3.11 on macOS has not
# What Docker sets in a container whose image and task say nothing; HOME is that of a user without a passwd entry.
_DOCKER_DEFAULTS = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """How this machine plays an image.

    `programs` gives the words that stand for the first word of a command; `environment` is the image's own ENV,
    with what a task role and the host would add; `mounts` gives local paths for paths in the container, which are
    replaced at the start of the command's words and of the environment's values.
    """

    programs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    directory: Path = Path("/")
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "Image":
        """Raises ValueError naming what is unknown."""
        unknown = set(document) - {"programs", "directory", "environment", "mounts"}
        if unknown:
            raise ValueError(f"an image has no {', '.join(sorted(unknown))}")
        return cls(
            programs=document.get("programs", {}),
            directory=Path(document.get("directory", "/")),
            environment=document.get("environment", {}),
            mounts=document.get("mounts", {}),
        )

    def local(self, text: str) -> str:
        """A word or value with its path moved to where the mount lies on this machine."""
        for inside, outside in self.mounts.items():
            if text == inside or text.startswith(f"{inside.rstrip('/')}/"):
                return outside + text[len(inside) :]
        return text

    def argv(self, command: Sequence[str]) -> list[str]:
        first, *rest = command
        return [*self.programs.get(first, (first,)), *(self.local(word) for word in rest)]

    def full_environment(self, given: Mapping[str, str]) -> dict[str, str]:
        defaults = {**_DOCKER_DEFAULTS, "HOSTNAME": secrets.token_hex(6)}
        merged = {**defaults, **self.environment, **given}
        return {name: self.local(value) for name, value in merged.items()}


def read_images(path: Path) -> dict[str, Image]:
    """The JSON file of `--images`: an object of image name -> Image. Raises ValueError."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return {name: Image.from_document(image) for name, image in document.items()}


class SubprocessRunner:
    def __init__(self, images: Mapping[str, Image]) -> None:
        self._images = dict(images)
        self._keeper = _Keeper()
        self._running: set[RunningProcess] = set()
        self._lock = threading.Lock()

    def start(self, container: Container) -> "RunningProcess":
        """Raises ContainerNotStarted, with the reason the ECS agent would give."""
        image = self._images.get(container.image)
        if image is None:
            raise ContainerNotStarted(
                "CannotPullContainerError: Error response from daemon: pull access denied for "
                f"{container.image}, repository does not exist or may require 'docker login'"
            )
        if not container.command:
            raise ContainerNotStarted(
                "CannotCreateContainerError: Error response from daemon: No command specified"
            )
        container.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._keeper.start()  # now, so that it can be told of the process as soon as there is one
        try:
            with container.log_path.open("ab") as log:
                process = subprocess.Popen(
                    image.argv(container.command),
                    env=image.full_environment(container.environment),
                    cwd=image.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError as exc:
            raise ContainerNotStarted(
                f"CannotStartContainerError: Error response from daemon: failed to create task: {exc}",
                _COMMAND_NOT_FOUND,
            ) from exc
        self._keeper.watch(process.pid)
        running = RunningProcess(process, self._forget)
        with self._lock:
            self._running.add(running)
        return running

    def close(self) -> None:
        with self._lock:
            left = list(self._running)
        for running in left:
            running.kill()
            running.wait()
        self._keeper.close()

    def _forget(self, running: "RunningProcess") -> None:
        self._keeper.forget(running.pid)
        with self._lock:
            self._running.discard(running)


class RunningProcess:
    """A process group. The zombie is kept until the group is gone, so that its number cannot belong to another."""

    def __init__(self, process: subprocess.Popen[bytes], on_end: Callable[["RunningProcess"], None]) -> None:
        self.pid = process.pid
        self._process = process
        self._on_end = on_end
        self._reaped = False
        self._lock = threading.Lock()

    def wait(self) -> int:
        if _HAS_WAITID:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        with self._lock:
            if not self._reaped:
                # A container ends with its main process; whatever that one started goes with it.
                self._signal_group(signal.SIGKILL)
                self._on_end(self)
                self._process.wait()
                self._reaped = True
        code = self._process.returncode
        return code if code >= 0 else _SIGNAL_BASE - code

    def stop(self) -> None:
        # Popen.send_signal would reap an ended process, and its group could then not be named any more.
        with self._lock, contextlib.suppress(ProcessLookupError):
            if not self._reaped:
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        with self._lock:
            if not self._reaped:
                self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


class _Keeper:
    """This side of the keeper process; it is started before the first job."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(keeper.__file__)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    text=True,
                    start_new_session=True,
                )

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def close(self) -> None:
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):
                    self._process.stdin.close()
                self._process.wait()
                self._process = None

    def _tell(self, line: str) -> None:
        # A keeper that somebody killed is no reason to fail a job.
        with self._lock, contextlib.suppress(BrokenPipeError):
            if self._process is not None and self._process.stdin is not None:
                self._process.stdin.write(line)
                self._process.stdin.flush()
