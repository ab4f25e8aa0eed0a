"""Which RUNNABLE jobs get room now: queues by priority, environments in their order, shares by fairness."""

import heapq
import secrets
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.batch import fairshare
from local.batch.capacity import Capacity, Resources, used
from local.batch.fairshare import UsageLedger
from local.batch.jobs import Attempt, Job, JobStatus
from local.batch.registry import Registry

Placed = list[tuple[Job, Attempt]]
Blocked = list[tuple[Job, str]]


@dataclass(slots=True)
class Placement:
    registry: Registry
    held: dict[str, tuple[str, Resources]] = field(default_factory=dict)  # job id -> environment, resources
    ledgers: dict[str, UsageLedger] = field(default_factory=dict)  # by queue ARN
    # By queue ARN and share, heaps: of thousands that wait, only the first of each share is looked at.
    lines: dict[str, dict[str, list[tuple[tuple[int, int], Job]]]] = field(default_factory=dict)

    def add(self, job: Job) -> None:
        """It waits for room from now on; one that has ended, or has its room, waits no longer."""
        line = self.lines.setdefault(job.queue_arn, {}).setdefault(job.candidate.share, [])
        heapq.heappush(line, (job.candidate.rank, job))

    def place(self, jobs: Collection[Job], now: float) -> tuple[Placed, Blocked]:
        """ "Queues are evaluated in cycles, in descending order by priority." A job that finds no room holds up
        those behind it in its own queue, and the cycle goes on to the next queue.
        """
        placed: Placed = []
        blocked: Blocked = []
        for queue in self.registry.queues_by_priority():
            while (job := self._next_in(queue, now)) is not None:
                environment, misfit = self._room_for(job, queue, jobs)
                if environment is None:
                    if misfit is not None:
                        blocked.append((job, misfit))
                    break
                heapq.heappop(self.lines[job.queue_arn][job.candidate.share])
                placed.append((job, self._take(job, environment, now)))
        return placed, blocked

    def release(self, job: Job, now: float) -> None:
        self.held.pop(job.id, None)
        self._ledger(job.queue_arn).finish(job.id, now)

    def _next_in(self, queue: Mapping[str, Any], now: float) -> Job | None:
        """ "Job queues that don't have a fair-share scheduling policy are scheduled in a first-in, first-out
        (FIFO) model." Theirs is one line.
        """
        firsts = list(self._firsts(self.lines.get(queue["jobQueueArn"], {})))
        policy = self.registry.policy_of(queue)
        if policy is None or len(firsts) < 2:
            return firsts[0] if firsts else None
        usage = self._ledger(queue["jobQueueArn"]).usage(now, fairshare.window_seconds(policy))
        chosen = fairshare.next_candidate((job.candidate for job in firsts), policy, usage)
        return next(job for job in firsts if job.candidate is chosen)

    @staticmethod
    def _firsts(lines: Mapping[str, list[tuple[tuple[int, int], Job]]]) -> Iterator[Job]:
        for line in lines.values():
            while line and line[0][1].status is not JobStatus.RUNNABLE:
                heapq.heappop(line)
            if line:
                yield line[0][1]

    def _room_for(
        self, job: Job, queue: Mapping[str, Any], jobs: Collection[Job]
    ) -> tuple[str | None, str | None]:
        """The environment that takes the job, or why none ever will; neither when it only has to wait."""
        capacities = self.registry.capacities(queue)
        misfits = [capacity.misfit(job.resources) for capacity in capacities.values()]
        for name, capacity in capacities.items():
            taken = used(held for environment, held in self.held.values() if environment == name)
            if capacity.misfit(job.resources) is None and (taken + job.resources).fits_in(
                self._open_to(queue, capacity, taken, jobs)
            ):
                return name, None
        return None, misfits[0] if misfits and all(misfits) else None

    def _open_to(
        self, queue: Mapping[str, Any], capacity: Capacity, taken: Resources, jobs: Collection[Job]
    ) -> Resources:
        """The whole room, less what computeReservation keeps for shares that are not active yet."""
        policy = self.registry.policy_of(queue) or {}
        if not policy.get("computeReservation") or not taken.vcpus:
            # An empty environment runs a job even if the reservation leaves it no room, or nothing would ever run.
            return capacity.total
        active_shares = len({job.share for job in jobs if job.queue_arn == queue["jobQueueArn"]})
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
