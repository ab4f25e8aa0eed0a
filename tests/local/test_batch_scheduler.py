"""The states of a job. Quotations are from the AWS Batch user guide ("Job states" and others) and API."""

from typing import Any

import pytest

from local.batch.errors import ClientException
from local.batch.jobs import CHILD_FAILED, DEPENDENCY_FAILED, ESSENTIAL_CONTAINER, JobStatus

S = JobStatus


def resources(vcpus: int = 1, **more: int) -> dict[str, Any]:
    wanted = {"VCPU": vcpus, **more}
    return {"resourceRequirements": [{"type": kind, "value": str(value)} for kind, value in wanted.items()]}


def test_a_job_goes_through_its_states_in_order(desk: Any) -> None:
    """SUBMITTED: "If there are no dependencies, the job is moved to RUNNABLE"; then STARTING, RUNNING and
    SUCCEEDED.
    """
    job = desk.submit()
    assert job.status is S.SUBMITTED
    desk.tick()
    desk.end(job, after=2.5)
    assert desk.told(job) == [S.RUNNABLE, S.STARTING, S.RUNNING, S.SUCCEEDED]
    assert job.stopped_at - job.started_at == 2500
    assert (job.attempts[0].exit_code, job.attempts[0].status_reason) == (0, ESSENTIAL_CONTAINER)


def test_no_event_tells_of_the_submission(desk: Any) -> None:
    """ "Events aren't created for the initial job submission." """
    job = desk.submit()
    assert desk.told(job) == []


def test_a_failed_attempt_goes_back_to_runnable(desk: Any) -> None:
    """ "If a job attempt fails for any reason, and the number of attempts specified in the retry configuration is
    greater than the AWS_BATCH_JOB_ATTEMPT number, then the job is placed back in the RUNNABLE state."
    """
    job = desk.submit(retryStrategy={"attempts": 2})
    desk.tick()
    desk.end(job, 1)
    assert (job.status, len(job.attempts), job.current.number) == (S.RUNNING, 1, 2)
    desk.end(job, 1)
    assert (job.status, len(job.attempts)) == (S.FAILED, 2)
    assert desk.told(job).count(S.RUNNABLE) == 2


def test_a_submission_overrides_the_definitions_retry_strategy(desk: Any) -> None:
    """ "When a retry strategy is specified here, it overrides the retry strategy defined in the job
    definition."
    """
    document = {**desk.registry.definition("work"), "retryStrategy": {"attempts": 5}}
    document = {name: value for name, value in document.items() if name in ("type", "retryStrategy")} | {
        "jobDefinitionName": "retrying",
        "containerProperties": document["containerProperties"],
    }
    desk.registry.register_definition(document)
    assert desk.submit(jobDefinition="retrying").retry_strategy == {"attempts": 5}
    assert desk.submit(jobDefinition="retrying", retryStrategy={"attempts": 1}).retry_strategy == {"attempts": 1}


class TestQueues:
    def test_a_queue_without_a_policy_is_first_in_first_out(self, desk: Any) -> None:
        """ "Job queues that don't have a fair-share scheduling policy are scheduled in a first-in, first-out
        (FIFO) model."
        """
        jobs = [desk.submit(f"job{number}") for number in range(6)]
        desk.tick()
        assert desk.in_state(S.RUNNING) == ["job0", "job1", "job2", "job3"]
        desk.end(jobs[2])
        assert desk.in_state(S.RUNNABLE) == ["job5"]

    def test_a_higher_priority_is_evaluated_first(self, desk: Any, documents: Any) -> None:
        """ "Job queues with a higher priority [...] are evaluated first when associated with the same compute
        environment."
        """
        desk.registry.create_queue(documents.queue("urgent", priority=10))
        for number in range(4):
            desk.submit(f"ordinary{number}")
        desk.submit("urgent", jobQueue="urgent")
        desk.tick()
        assert desk.in_state(S.RUNNABLE) == ["ordinary3"]

    def test_a_queue_without_room_lets_the_next_queue_go_on(self, desk: Any, documents: Any) -> None:
        """ "If there are insufficient resources available at that time, the cycle proceeds to the next queue." """
        desk.registry.create_queue(documents.queue("urgent", priority=10))
        desk.submit("running", containerOverrides=resources(3))
        desk.tick()
        desk.submit("large", jobQueue="urgent", containerOverrides=resources(2))
        desk.submit("small")
        desk.tick()
        assert (desk.in_state(S.RUNNABLE), desk.in_state(S.RUNNING)) == (["large"], ["running", "small"])

    def test_environments_are_filled_in_their_order(self, desk: Any, documents: Any) -> None:
        """ "Compute environments are selected for job placement in ascending order." """
        desk.registry.create_environment(documents.environment("second", 1))
        desk.registry.create_queue(documents.queue("both", "second", "ce"))
        jobs = [desk.submit(f"job{number}", jobQueue="both") for number in range(2)]
        desk.tick()
        assert [job.current.compute_environment for job in jobs] == ["second", "ce"]

    def test_a_disabled_queue_lets_its_jobs_finish(self, desk: Any) -> None:
        """ "[...] new jobs can't be added to the queue, but jobs already in the queue can finish." """
        job = desk.submit()
        desk.registry.update_queue({"jobQueue": "q", "state": "DISABLED"})
        with pytest.raises(ClientException, match="DISABLED"):
            desk.submit()
        desk.tick()
        assert job.status is S.RUNNING

    def test_shares_are_served_by_their_weight(self, desk_with: Any) -> None:
        policy = {"shareDistribution": [{"shareIdentifier": "studio", "weightFactor": 0.25}]}
        desk = desk_with(max_vcpus=5, policy=policy)
        for number in range(5):
            desk.submit(f"free{number}", shareIdentifier="free")
            desk.submit(f"studio{number}", shareIdentifier="studio")
        desk.tick()
        assert [name for name in desk.in_state(S.RUNNING) if name.startswith("free")] == ["free0"]

    def test_a_definitions_priority_yields_to_the_submissions(self, desk_with: Any) -> None:
        """schedulingPriorityOverride "overrides any scheduling priority in the job definition"."""
        desk = desk_with(max_vcpus=1, policy={})
        desk.submit("low", shareIdentifier="a")
        desk.submit("high", shareIdentifier="a", schedulingPriorityOverride=5)
        desk.tick()
        assert desk.in_state(S.RUNNING) == ["high"]

    def test_a_reservation_is_kept_for_shares_that_may_come(self, desk_with: Any) -> None:
        """ "For example, a computeReservation value of 50 indicates that Batch reserves 50% of the maximum
        available vCPU if there's only one share identifier. It reserves 25% if there are two share identifiers."
        """
        desk = desk_with(max_vcpus=8, policy={"computeReservation": 50})
        for number in range(8):
            desk.submit(f"a{number}", shareIdentifier="a")
        desk.tick()
        assert len(desk.in_state(S.RUNNING)) == 4
        desk.submit("b0", shareIdentifier="b")
        desk.tick()
        assert len(desk.in_state(S.RUNNING)) == 6


class TestCapacity:
    def test_a_job_waits_for_room_without_a_reason(self, desk: Any) -> None:
        desk.submit(containerOverrides=resources(4))
        waiting = desk.submit()
        desk.tick()
        assert (waiting.status, waiting.status_reason) == (S.RUNNABLE, None)

    @pytest.mark.parametrize(
        ("overrides", "reason"),
        [
            pytest.param(resources(5), "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", id="vCPUs"),
            pytest.param(resources(1, GPU=1), "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", id="a GPU"),
        ],
    )
    def test_a_job_that_never_fits_says_why(self, desk: Any, overrides: dict[str, Any], reason: str) -> None:
        """ "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - All compute environments have a maxVcpu setting
        that is smaller than the job requirements. MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - All compute
        environments have no connected instances that meet the job requirements." (JobDetail)
        """
        job, behind = desk.submit(containerOverrides=overrides), desk.submit()
        desk.tick()
        assert (job.status, job.status_reason.partition(" ")[0]) == (S.RUNNABLE, reason)
        assert behind.status is S.RUNNABLE, "the head of the queue blocks it"
        (event,) = [change for change in desk.scheduler.changes if change.blocks_queue]
        assert event.detail["statusReason"] == job.status_reason

    def test_memory_is_that_of_the_instances(self, desk: Any, documents: Any) -> None:
        desk.registry.create_environment(documents.environment("small", 4, "c5.large"))
        desk.registry.create_queue(documents.queue("small", "small"))
        jobs = [
            desk.submit(jobQueue="small", containerOverrides=resources(1, MEMORY=memory))
            for memory in (4096, 5000)
        ]
        desk.tick()
        assert [job.status for job in jobs] == [S.RUNNING, S.RUNNABLE]
        assert jobs[1].status_reason.startswith("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT")

    def test_gpus_are_not_shared(self, desk: Any, documents: Any) -> None:
        """ "Make sure that the number of GPUs reserved for all containers in a job doesn't exceed the number of
        available GPUs": two machines of one GPU run two jobs.
        """
        desk.registry.create_environment(documents.environment("gpus", 8, "g4dn.xlarge"))
        desk.registry.create_queue(documents.queue("gpus", "gpus"))
        for _ in range(3):
            desk.submit(jobQueue="gpus", containerOverrides=resources(1, GPU=1))
        desk.tick()
        assert len(desk.in_state(S.RUNNING)) == 2

    def test_a_time_limit_cancels_what_blocks_the_queue(self, desk_with: Any) -> None:
        """ "When a job has been in a RUNNABLE state with the defined statusReason, AWS Batch performs the action
        specified after maxTimeSeconds have elapsed", so that the next job comes to the head of the queue.
        """
        reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT"
        action = {"reason": reason, "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
        desk = desk_with(jobStateTimeLimitActions=[action])
        job, behind = desk.submit(containerOverrides=resources(1, GPU=1)), desk.submit()
        desk.tick()
        assert desk.scheduler.next_deadline() == desk.now + 600
        desk.tick(600)
        desk.tick()
        assert (job.status, behind.status) == (S.FAILED, S.RUNNING)
        assert job.status_reason == f"Canceled by JobStateTimeLimit action due to reason: {reason}"


class TestDependencies:
    def test_a_job_waits_for_those_it_depends_on(self, desk: Any) -> None:
        """ "If there are dependencies, the job is moved to PENDING. [...] After the dependencies are satisfied,
        the job is moved to RUNNABLE."
        """
        first = desk.submit("first")
        second = desk.submit("second", dependsOn=[{"jobId": first.id}])
        desk.tick()
        assert second.status is S.PENDING
        desk.end(first)
        assert second.status is S.RUNNING
        assert desk.told(second) == [S.PENDING, S.RUNNABLE, S.STARTING, S.RUNNING]

    def test_a_failed_dependency_fails_those_behind_it(self, desk: Any) -> None:
        """ "If any of the job dependencies fail, the dependent job automatically transitions from PENDING to
        FAILED."
        """
        first = desk.submit("first")
        second = desk.submit("second", dependsOn=[{"jobId": first.id}])
        third = desk.submit("third", dependsOn=[{"jobId": second.id}])
        desk.tick()
        desk.end(first, 1)
        assert [job.status_reason for job in (second, third)] == [DEPENDENCY_FAILED] * 2


class TestArrays:
    def test_children_carry_the_parents_id_and_their_index(self, desk: Any) -> None:
        """ "Each child job has the same base ID. However, the array index for the child job is appended to the end
        of the parent ID, such as example_job_ID:0 for the first child job of the array."
        """
        parent = desk.submit(arrayProperties={"size": 3})
        desk.tick()
        assert desk.launched == [f"{parent.id}:{index}" for index in range(3)]

    def test_the_parent_is_pending_until_its_children_end(self, desk: Any) -> None:
        """ "The parent array job can enter a SUBMITTED, PENDING, FAILED, or SUCCEEDED status. An array parent job
        is updated to PENDING when any child job is updated to RUNNABLE."
        """
        parent = desk.submit(arrayProperties={"size": 2})
        desk.tick()
        assert parent.status is S.PENDING
        for child in desk.scheduler.children[parent.id]:
            desk.end(child)
        assert desk.told(parent) == [S.PENDING, S.SUCCEEDED]

    def test_a_failed_child_fails_the_parent_after_the_last(self, desk: Any) -> None:
        """The parent's own status says whether all of them succeeded, so it can only follow the last."""
        parent = desk.submit(arrayProperties={"size": 2})
        desk.tick()
        first, second = desk.scheduler.children[parent.id]
        desk.end(first, 1)
        assert parent.status is S.PENDING
        desk.end(second)
        assert (parent.status, parent.status_reason) == (S.FAILED, CHILD_FAILED)

    def test_children_time_out_one_by_one(self, desk: Any) -> None:
        """ "For array jobs, the timeout applies to the child jobs, not to the parent array job." """
        parent = desk.submit(arrayProperties={"size": 2}, timeout={"attemptDurationSeconds": 60})
        desk.tick()
        first, second = desk.scheduler.children[parent.id]
        desk.end(first, after=30)
        desk.tick(31)
        desk.tick()
        assert desk.stops == [second.id]

    def test_children_are_retried_one_by_one(self, desk: Any) -> None:
        parent = desk.submit(arrayProperties={"size": 2}, retryStrategy={"attempts": 2})
        desk.tick()
        first, second = desk.scheduler.children[parent.id]
        desk.end(first, 1)
        assert (first.current.number, second.current.number) == (2, 1)

    def test_terminate_reaches_every_child(self, desk: Any) -> None:
        parent = desk.submit(arrayProperties={"size": 6})
        desk.tick()
        desk.scheduler.terminate(parent.id, "enough", desk.now)
        desk.tick()
        children = desk.scheduler.children[parent.id]
        assert [child.status for child in children[4:]] == [S.FAILED] * 2
        for child in children[:4]:
            desk.end(child, 143)
        assert (parent.status, parent.status_reason) == (S.FAILED, "enough")

    def test_cancel_reaches_children_that_have_not_started(self, desk: Any) -> None:
        """ "When you try to cancel an array parent job in PENDING, Batch attempts to cancel all child jobs. The
        array parent job is cancelled when all child jobs are completed."
        """
        parent = desk.submit(arrayProperties={"size": 5})
        desk.tick()
        desk.scheduler.cancel(parent.id, "enough", desk.now)
        *running, waiting = desk.scheduler.children[parent.id]
        assert (waiting.status, parent.status) == (S.FAILED, S.PENDING)
        for child in running:
            desk.end(child)
        assert (parent.status, parent.status_reason) == (S.FAILED, "enough")

    def test_sequential_children_run_one_after_the_other(self, desk: Any) -> None:
        """ "You can specify a SEQUENTIAL type dependency without specifying a job ID for array jobs so that each
        child array job completes sequentially, starting at index 0."
        """
        parent = desk.submit(arrayProperties={"size": 3}, dependsOn=[{"type": "SEQUENTIAL"}])
        desk.tick()
        for index, child in enumerate(desk.scheduler.children[parent.id]):
            assert len(desk.launched) == index + 1
            desk.end(child)
        assert parent.status is S.SUCCEEDED

    def test_n_to_n_children_wait_for_their_counterpart(self, desk: Any) -> None:
        """ "[...] each index child of this job must wait for the corresponding index child of each dependency to
        complete before it can begin."
        """
        first = desk.submit("first", arrayProperties={"size": 2})
        second = desk.submit(
            "second", arrayProperties={"size": 2}, dependsOn=[{"jobId": first.id, "type": "N_TO_N"}]
        )
        desk.tick()
        desk.end(desk.scheduler.children[first.id][1])
        assert [child.status for child in desk.scheduler.children[second.id]] == [S.PENDING, S.RUNNING]
