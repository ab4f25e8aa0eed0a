"""The seam between the scheduler and whatever runs a container: a plain process, or podman or docker."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from local.batch.capacity import Resources


class ContainerNotStarted(Exception):
    """No container ran; the text becomes the attempt's container reason, in the words of the ECS agent."""

    def __init__(self, reason: str, exit_code: int | None = None) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """A folder of the host, `outside`, at a path in the container, `inside`."""

    inside: str
    outside: str
    read_only: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """One attempt, ready to run. `environment` lacks only what the image itself brings."""

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    resources: Resources
    mounts: tuple[Mount, ...]
    log_path: Path
    user: str | None = None
    read_only_root: bool = False


class RunningContainer(Protocol):
    def wait(self) -> int:
        """The exit code as Docker gives it: 128 + N where signal N ended it. Nothing of it runs any more."""

    def stop(self) -> None:
        """Sends SIGTERM to the main process. No fault if it has ended."""

    def kill(self) -> None:
        """Sends SIGKILL to every process of the container. No fault if it has ended."""


class Runner(Protocol):
    def start(self, container: Container) -> RunningContainer:
        """Raises ContainerNotStarted."""

    def close(self) -> None:
        """Ends what still runs. Safe to repeat."""
