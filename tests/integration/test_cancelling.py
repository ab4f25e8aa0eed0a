"""An owner who cancels pays for nothing more: the job's process ends, or never begins."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import boto3
import psutil
import psycopg
import pytest

from backend.gateways.batch_jobs import BatchJobs
from backend.gateways.errors import BatchUnavailable
from backend.videos.job_events import JobEvent
from client import ApiError
from demo.video import DemoVideo, make_demo_video
from local.aws import ENTERPRISE_QUEUE

TRIES = 5
AT_WORK = """
SELECT frames_done > 0 AND status = 'running' AND NOT EXISTS (
    SELECT FROM pg_stat_activity WHERE application_name = 'framebatch-job' AND xact_start IS NOT NULL
) FROM videos_analysis WHERE id = %s
"""


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> DemoVideo:
    return make_demo_video(tmp_path_factory.mktemp("video") / "scene.mp4", seconds=20, seed=90_004)


def test_the_job_of_a_cancelled_analysis_is_ended_and_a_retry_finishes(product, video):
    with at_work(product, video) as analysis_id:
        waiting = product.client.cancel(analysis_id)
    assert waiting["status"] == "cancelled"

    # Terminated, unless it noticed sooner that it had lost the claim, and ended by itself.
    wait_until(lambda: job(product, analysis_id)["status"] in ("FAILED", "SUCCEEDED"))
    described = JobEvent.from_detail(job(product, analysis_id))  # as the reconciler reads it
    assert described is not None
    assert (str(described.analysis_id), described.ended_attempts) == (analysis_id, 1)
    wait_until(lambda: not job_processes(product))
    state = product.client.analysis(analysis_id)
    assert (state["status"], state["error"], state["summary"]) == ("cancelled", None, None)

    again = product.client.retry(analysis_id)
    assert product.wait(again["id"])["status"] == "succeeded"
    assert product.client.analysis(analysis_id) == state
    with pytest.raises(ApiError) as refusal:
        product.client.cancel(again["id"])
    assert refusal.value.code == "analysis_over"


def test_a_job_that_waits_for_a_machine_never_gets_one(product, video):
    """The machine is taken by the first; the second is cancelled in the queue."""
    with at_work(product, video) as first:
        second = product.request(video.path)
        wait_until(lambda: product.client.analysis(second)["batch_state"] == "RUNNABLE")
        product.client.cancel(second)
        wait_until(lambda: job(product, second)["status"] == "FAILED")
        assert job(product, second)["isTerminated"] is True
        product.client.cancel(first)
    wait_until(lambda: not job_processes(product))
    with psycopg.connect(product.stack.database_url) as connection:
        query = "SELECT started_at FROM videos_analysis WHERE id = %s"
        assert connection.execute(query, [second]).fetchone() == (None,)


def test_a_job_that_batch_does_not_know_counts_as_ended(product, monkeypatch):
    """AWS Batch forgets jobs; asking for ever would help nobody. A service that is away is another matter."""
    for name, value in product.stack.aws_environment.items():
        monkeypatch.setenv(name, value)
    BatchJobs().terminate("00000000-0000-4000-8000-000000000000", reason="a test")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BATCH", "http://127.0.0.1:9")
    with pytest.raises(BatchUnavailable, match="TerminateJob"):
        BatchJobs().terminate("00000000-0000-4000-8000-000000000000", reason="a test")


def job(product, analysis_id: str) -> dict:
    environment = product.stack.aws_environment
    batch = boto3.client(
        "batch",
        endpoint_url=environment["AWS_ENDPOINT_URL_BATCH"],
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    filters = [{"name": "JOB_NAME", "values": [f"analysis-{analysis_id}"]}]
    # The stack's own user has the plan whose jobs have a queue of their own.
    (found,) = batch.list_jobs(jobQueue=ENTERPRISE_QUEUE, filters=filters)["jobSummaryList"]
    return batch.describe_jobs(jobs=[found["jobId"]])["jobs"][0]


def job_processes(product) -> list[psutil.Process]:
    stand_in = psutil.Process(product.stack.services["batch"].process.pid)
    return [child for child in stand_in.children(recursive=True) if "batch_job" in words_of(child)]


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # it has ended meanwhile, and may still be waited for
        return []


@contextmanager
def at_work(product, video: DemoVideo) -> Iterator[str]:
    """An analysis whose job stands still in the midst of its work, so that it cannot end before its time."""
    for _ in range(TRIES):
        analysis_id = product.request(video.path)
        if process := halted(product, analysis_id):
            break
    else:
        raise AssertionError("each job ended before it was met at work")
    try:
        yield analysis_id
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()


def halted(product, analysis_id: str) -> psutil.Process | None:
    """Where frames are stored, and outside of every transaction, in which it would hold up whoever cancels."""
    with psycopg.connect(product.stack.database_url, autocommit=True) as connection:
        while product.client.analysis(analysis_id)["status"] != "succeeded":
            for process in job_processes(product):
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
                    if connection.execute(AT_WORK, [analysis_id]).fetchone() == (True,):
                        return process
                    process.resume()
            time.sleep(0.05)
    return None


def wait_until(true, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
