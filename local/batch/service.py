"""The stand-in at work: one lock around the scheduler, a thread that drives it, a thread per running container."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from local.batch.container_environment import SecretResolver, SecretUnavailable, environment_of, mounts_of
from local.batch.containers import Container, ContainerNotStarted, Runner, RunningContainer
from local.batch.effects import Effect, Launch, SendKill
from local.batch.events import EventSink, event_of
from local.batch.registry import Place, Registry
from local.batch.scheduler import STOP_GRACE_SECONDS, Scheduler

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceSettings:
    """`time_scale` is for tests alone: how long one second of Batch's own (timeout, grace) lasts here."""

    place: Place = field(default_factory=Place)
    log_folder: Path
    time_scale: float = 1.0
    stop_grace_seconds: float = STOP_GRACE_SECONDS
    shutdown_grace_seconds: float = 5.0


class BatchService:
    """`with BatchService(...) as service:`; leaving the block terminates every job."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        runner: Runner,
        events: EventSink,
        resolve_secret: SecretResolver,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.registry = Registry(settings.place)
        self.scheduler = Scheduler(
            self.registry, time_scale=settings.time_scale, stop_grace_seconds=settings.stop_grace_seconds
        )
        self._runner, self._events, self._resolve_secret, self._clock = runner, events, resolve_secret, clock
        self._running: dict[str, RunningContainer] = {}
        self._killed_early: set[str] = set()
        self._attempts: set[threading.Thread] = set()
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._drive, name="scheduler", daemon=True)

    def __enter__(self) -> "BatchService":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def apply(self, action: Callable[[Scheduler, float], Result]) -> Result:
        """Runs the action alone, with the time; then everything that follows from it is done in the background."""
        with self._wake:
            result = action(self.scheduler, self._clock())
            self._publish()
            self._wake.notify_all()
        return result

    def reclaim_host(self, job_id: str, *, grace_seconds: float | None = None) -> None:
        """For tests: Spot takes the machine of a STARTING or RUNNING job. Raises ClientException for another."""
        self.apply(lambda scheduler, now: scheduler.reclaim_host(job_id, now, grace_seconds=grace_seconds))

    def close(self) -> None:
        with self._wake:
            self._closing = True
            running = list(self._running.values())
            self._wake.notify_all()
        self._thread.join()
        for container in running:
            container.stop()
        deadline = time.monotonic() + self.settings.shutdown_grace_seconds
        for attempt in list(self._attempts):
            attempt.join(max(0.0, deadline - time.monotonic()))
        self._runner.close()
        for attempt in list(self._attempts):
            attempt.join()
        self._events.close()

    def _drive(self) -> None:
        while True:
            with self._wake:
                if self._closing:
                    return
                effects = self.scheduler.tick(self._clock())
                self._publish()
                for effect in effects:
                    self._carry_out(effect)
                if effects:
                    continue
                deadline = self.scheduler.next_deadline()
                self._wake.wait(None if deadline is None else max(0.0, deadline - self._clock()))

    def _publish(self) -> None:
        while self.scheduler.changes:
            change = self.scheduler.changes.popleft()
            logger.info("job %s %s", change.detail["jobId"], change.detail["status"])
            self._events.put(event_of(change, self.registry.place))

    def _carry_out(self, effect: Effect) -> None:
        if isinstance(effect, Launch):
            thread = threading.Thread(
                target=self._attempt, args=(effect,), name=f"job {effect.job.id}", daemon=True
            )
            self._attempts.add(thread)
            thread.start()
            return
        container = self._running.get(effect.job_id)
        if isinstance(effect, SendKill):
            if container is None:
                self._killed_early.add(effect.job_id)
            else:
                container.kill()
        elif container is not None:
            container.stop()

    def _attempt(self, launch: Launch) -> None:
        try:
            exit_code, fault = self._run(launch)
            with self._wake:
                self._running.pop(launch.job.id, None)
                self._killed_early.discard(launch.job.id)
                if not self._closing:
                    self.scheduler.ended(launch.job.id, self._clock(), exit_code=exit_code, start_fault=fault)
                    self._publish()
                    self._wake.notify_all()
        finally:
            self._attempts.discard(threading.current_thread())

    def _run(self, launch: Launch) -> tuple[int | None, str | None]:
        """Exit code, and why the container did not start."""
        try:
            container = self._runner.start(self._container(launch))
        except SecretUnavailable as exc:
            return None, f"ResourceInitializationError: unable to pull secrets or registry auth: {exc}"
        except ContainerNotStarted as exc:
            return exc.exit_code, str(exc)
        with self._wake:
            self._running[launch.job.id] = container
            stop = self.scheduler.started(launch.job.id, self._clock()) or self._closing
            kill = launch.job.id in self._killed_early
            self._publish()
            self._wake.notify_all()
        if stop:
            container.stop()
        if kill:
            container.kill()
        return container.wait(), None

    def _container(self, launch: Launch) -> Container:
        job, attempt = launch.job, launch.attempt
        queue = self.registry.queue(job.queue_arn)
        wanted: Mapping[str, Any] = job.container
        return Container(
            name=attempt.log_stream_name.rpartition("/")[2],
            image=wanted["image"],
            command=tuple(wanted["command"]),
            environment=environment_of(job, attempt, queue, self._resolve_secret),
            resources=job.resources,
            mounts=mounts_of(job),
            log_path=self.settings.log_folder / f"{attempt.log_stream_name}.log",
            user=wanted.get("user"),
            read_only_root=wanted.get("readonlyRootFilesystem", False),
        )
