"""Runs a container with podman or docker, as the ECS agent starts what a job definition says."""

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.batch.containers import Container, ContainerNotStarted
from local.batch.door import Door

LABEL = "framebatch.stack"
_COMMAND_NOT_FOUND = 127
_KILLED = 137


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """The machine that containers run on.

    `folders` says where this machine keeps what the job definition looks for on an EC2 instance. `ports` of the
    loopback and the Unix `sockets` are all that a container can reach, where the engine is podman and run by root;
    elsewhere it has the host's network.
    """

    engine: str
    label: str
    folders: Mapping[str, str] = field(default_factory=dict)
    ports: Sequence[int] = ()
    sockets: Sequence[str] = ()

    @classmethod
    def read(cls, path: Path) -> "Host":
        """The JSON file of `--containers`."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @property
    def has_door(self) -> bool:
        return self.engine == "podman" and os.geteuid() == 0


class ContainerRunner:
    def __init__(self, host: Host) -> None:
        self.host = host
        self._running: set[RunningEngineContainer] = set()
        self._lock = threading.Lock()
        self._remove_leftovers()

    def start(self, container: Container) -> "RunningEngineContainer":
        """Raises ContainerNotStarted, with the reason the ECS agent would give."""
        name = f"framebatch-{container.name}"
        host = self.host
        self._call("CannotCreateContainerError", *self._create(container, name), given=container.environment)
        door = None
        try:
            if host.has_door:
                self._call("CannotStartContainerError", "container", "init", name)
                pid = self._call("CannotStartContainerError", "inspect", "--format", "{{.State.Pid}}", name)
                door = Door(int(pid), host.ports)
            self._call("CannotStartContainerError", "start", name)
        except (ContainerNotStarted, OSError) as exc:
            if door is not None:
                door.close()
            self._discard(name)
            if isinstance(exc, ContainerNotStarted):
                raise
            raise ContainerNotStarted(f"CannotStartContainerError: {exc}") from exc
        container.log_path.parent.mkdir(parents=True, exist_ok=True)
        with container.log_path.open("ab") as log:
            command = [host.engine, "logs", "--follow", name]
            logs = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        running = RunningEngineContainer(name, logs, door, self)
        with self._lock:
            self._running.add(running)
        return running

    def close(self) -> None:
        with self._lock:
            left = list(self._running)
        for running in left:
            running.kill()
            running.wait()

    def ended(self, running: "RunningEngineContainer") -> None:
        self._discard(running.name)
        with self._lock:
            self._running.discard(running)

    def exit_code(self, name: str) -> int:
        """Waits for the end."""
        done = subprocess.run([self.host.engine, "wait", name], capture_output=True, text=True, check=False)
        return int(done.stdout) if done.returncode == 0 else _KILLED  # somebody has removed it

    def signal(self, name: str, number: str) -> None:
        """No fault if it has ended."""
        subprocess.run([self.host.engine, "kill", "--signal", number, name], capture_output=True, check=False)

    def _create(self, container: Container, name: str) -> list[str]:
        host = self.host
        given = ["create", "--pull=never", "--name", name, "--label", f"{LABEL}={host.label}"]
        given += ["--cap-drop=ALL", "--security-opt=no-new-privileges"]
        given += ["--network", "none" if host.has_door else "host"]
        given += ["--memory", f"{container.resources.memory_mib}m"]
        if container.user is not None:
            given += ["--user", container.user]
        if container.read_only_root:
            given += ["--read-only", *(["--read-only-tmpfs=false"] if host.engine == "podman" else [])]
        for mount in container.mounts:
            outside = host.folders.get(mount.outside, mount.outside)
            given += ["--volume", f"{outside}:{mount.inside}:{'ro' if mount.read_only else 'rw'}"]
        given += [part for path in host.sockets for part in ("--volume", f"{path}:{path}")]
        # By name alone where that is possible, so that no list of processes shows a value: the engine takes it
        # from its own environment, in which what it needs itself must stay.
        for variable, value in container.environment.items():
            own = variable in os.environ or variable.startswith("LD_")
            given += ["--env", f"{variable}={value}" if own else variable]
        return [*given, container.image, *container.command]

    def _call(self, kind: str, *arguments: str, given: Mapping[str, str] | None = None) -> str:
        passed = {name: value for name, value in (given or {}).items() if not name.startswith("LD_")}
        environment = passed | dict(os.environ)
        done = subprocess.run(
            [self.host.engine, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            reason = done.stderr.strip().removeprefix("Error: ")
            if "image not known" in reason or "No such image" in reason:
                kind = "CannotPullContainerError"
            code = _COMMAND_NOT_FOUND if "executable file" in reason else None
            raise ContainerNotStarted(f"{kind}: Error response from daemon: {reason}", code)
        return done.stdout.strip()

    def _discard(self, name: str) -> None:
        subprocess.run([self.host.engine, "rm", "--force", name], capture_output=True, check=False)

    def _remove_leftovers(self) -> None:
        """Of a stand-in that was killed: their jobs are nobody's now."""
        listing = ["ps", "--all", "--quiet", "--filter", f"label={LABEL}={self.host.label}"]
        found = subprocess.run([self.host.engine, *listing], capture_output=True, text=True, check=False)
        for name in found.stdout.split():
            self._discard(name)


class RunningEngineContainer:
    def __init__(
        self, name: str, logs: subprocess.Popen[bytes], door: Door | None, runner: ContainerRunner
    ) -> None:
        self.name = name
        self._logs = logs
        self._door = door
        self._runner = runner
        self._code: int | None = None
        self._lock = threading.Lock()

    def wait(self) -> int:
        with self._lock:
            if self._code is None:
                self._code = self._runner.exit_code(self.name)
                self._logs.wait()
                if self._door is not None:
                    self._door.close()
                self._runner.ended(self)
            return self._code

    def stop(self) -> None:
        self._runner.signal(self.name, "TERM")

    def kill(self) -> None:
        self._runner.signal(self.name, "KILL")
