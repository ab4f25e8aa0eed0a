"""Which RUNNABLE jobs get room now: queues by priority, environments in their order, shares by fairness."""

import secrets
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.batch import fairshare
from local.batch.capacity import Capacity, Resources, used
from local.batch.fairshare import Candidate, UsageLedger
from local.batch.jobs import Attempt, Job, JobStatus
from local.batch.registry import Registry

Placed = list[tuple[Job, Attempt]]
Blocked = list[tuple[Job, str]]


@dataclass(slots=True)
class Placement:
    registry: Registry
    held: dict[str, tuple[str, Resources]] = field(default_factory=dict)  # job id -> environment, resources
    ledgers: dict[str, UsageLedger] = field(default_factory=dict)  # by queue ARN

    def place(self, jobs: Iterable[Job], now: float) -> tuple[Placed, Blocked]:
        """ "Queues are evaluated in cycles, in descending order by priority." A job that finds no room holds up
        those behind it in its own queue, and the cycle goes on to the next queue.
        """
        placed: Placed = []
        blocked: Blocked = []
        open_jobs = list(jobs)
        for queue in self.registry.queues_by_priority():
            mine = [job for job in open_jobs if job.queue_arn == queue["jobQueueArn"]]
            waiting = {job.id: job for job in mine if job.status is JobStatus.RUNNABLE}
            active_shares = len({job.share for job in mine})
            while waiting:
                job = waiting[self._next_in(queue, waiting.values(), now)]
                environment, misfit = self._room_for(job, queue, active_shares)
                if environment is None:
                    if misfit is not None:
                        blocked.append((job, misfit))
                    break
                del waiting[job.id]
                placed.append((job, self._take(job, environment, now)))
        return placed, blocked

    def release(self, job: Job, now: float) -> None:
        self.held.pop(job.id, None)
        self._ledger(job.queue_arn).finish(job.id, now)

    def _next_in(self, queue: Mapping[str, Any], waiting: Iterable[Job], now: float) -> str:
        """ "Job queues that don't have a fair-share scheduling policy are scheduled in a first-in, first-out
        (FIFO) model."
        """
        policy = self.registry.policy_of(queue)
        if policy is None:
            return min(waiting, key=lambda job: (job.order, job.index or 0)).id
        # Children of one array share its place in the line; their index decides among them.
        candidates = (
            Candidate(job.id, job.share or "", job.priority, job.order * 10_000 + (job.index or 0))
            for job in waiting
        )
        usage = self._ledger(queue["jobQueueArn"]).usage(now, fairshare.window_seconds(policy))
        chosen = fairshare.next_candidate(candidates, policy, usage)
        assert chosen is not None
        return chosen.job_id

    def _room_for(self, job: Job, queue: Mapping[str, Any], active_shares: int) -> tuple[str | None, str | None]:
        """The environment that takes the job, or why none ever will; neither when it only has to wait."""
        capacities = self.registry.capacities(queue)
        misfits = [capacity.misfit(job.resources) for capacity in capacities.values()]
        for name, capacity in capacities.items():
            taken = used(held for environment, held in self.held.values() if environment == name)
            if capacity.misfit(job.resources) is None and (taken + job.resources).fits_in(
                self._open_to(queue, capacity, taken, active_shares)
            ):
                return name, None
        return None, misfits[0] if misfits and all(misfits) else None

    def _open_to(
        self, queue: Mapping[str, Any], capacity: Capacity, taken: Resources, active_shares: int
    ) -> Resources:
        """The whole room, less what computeReservation keeps for shares that are not active yet."""
        policy = self.registry.policy_of(queue) or {}
        if not policy.get("computeReservation") or not taken.vcpus:
            # An empty environment runs a job even if the reservation leaves it no room, or nothing would ever run.
            return capacity.total
        open_vcpus = capacity.total.vcpus * (1 - fairshare.reserved_ratio(policy, active_shares))
        return Resources(open_vcpus, capacity.total.memory_mib, capacity.total.gpus)

    def _take(self, job: Job, environment: str, now: float) -> Attempt:
        self.held[job.id] = (environment, job.resources)
        self._ledger(job.queue_arn).begin(job.id, job.share or "", job.resources.vcpus, now)
        cluster, task = f"AWSBatch-{environment}", uuid.uuid4().hex
        arn = self.registry.place.arn
        return Attempt(
            number=job.attempt_number,
            compute_environment=environment,
            container_instance_arn=arn(f"container-instance/{cluster}/{secrets.token_hex(16)}", "ecs"),
            task_arn=arn(f"task/{cluster}/{task}", "ecs"),
            log_stream_name=f"{job.definition_name}/default/{task}",
        )

    def _ledger(self, queue_arn: str) -> UsageLedger:
        return self.ledgers.setdefault(queue_arn, UsageLedger())
