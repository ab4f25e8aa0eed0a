"""The parts together, in memory: what SQS repeats and shuffles and Spot interrupts ends once, and the same."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from batch_job.analysis import Analysis
from batch_job.pipeline import Stopwatch
from batch_job.stages import Model
from contract.jobs import REQUEST_VARIABLE
from contract.messages import AnalysisRequest
from contract.options import AnalysisOptions
from lambda_sqs_to_batch.logs import EventLog
from lambda_sqs_to_batch.settings import Settings
from lambda_sqs_to_batch.submitting import Submitter
from tests.fakes import CLASSES, FakeBatch, FakeDetector, FakeNotices, FakePictures, FakeResults, FakeVideo

FRAMES = 20
CHUNK_FRAMES = 4
SETTINGS = Settings.from_environ({"JOB_QUEUE": "q", "JOB_DEFINITION": "d", "JOB_EVENTS_QUEUE_URL": "e"})

deliveries = st.integers(1, 4).flatmap(
    lambda count: st.tuples(
        st.just(count),
        # Every message comes at least once, some again, in any order and in batches of any size up to ten.
        st.lists(st.integers(0, count - 1), max_size=8).flatmap(
            lambda again: st.permutations([*range(count), *again])
        ),
        st.integers(1, 10),
    )
)
deaths = st.lists(st.integers(0, FRAMES - 1), max_size=3)


def run_attempt(body: str, results: FakeResults, dies_at: int | None) -> None:
    request = AnalysisRequest.from_json(body)
    Analysis(
        request=request,
        model=Model(task="detect", classes=CLASSES, wanted=None),
        video=FakeVideo(FRAMES),
        detector=FakeDetector(broken_at=dies_at),
        results=results,
        pictures=FakePictures(),
        watch=Stopwatch(),
        chunk_frames=CHUNK_FRAMES,
        scratch=Path(),
        halt=lambda: None,
    ).run()


def run_job(body: str, results: FakeResults, dies_at: list[int]) -> None:
    """An attempt for each death, as Batch retries, and one that nothing disturbs."""
    for frame in dies_at:
        try:
            run_attempt(body, results, frame)
        except MemoryError:
            continue
        return
    run_attempt(body, results, None)


@given(deliveries, deaths)
@settings(deadline=None, max_examples=40)
def test_each_request_ends_once_whatever_is_delivered_how_often(delivered, dies_at):
    """At-least-once everywhere, exactly-once results."""
    count, order, batch_size = delivered
    options = AnalysisOptions(thumbnails=0)
    bodies = [
        AnalysisRequest(analysis_id=UUID(int=n), video_key="v", model="m", options=options).to_json()
        for n in range(count)
    ]
    batch = FakeBatch()
    submitter = Submitter(settings=SETTINGS, batch=batch, notices=FakeNotices())
    for start in range(0, len(order), batch_size):
        records = [
            {"messageId": f"{start}-{place}", "body": bodies[number]}
            for place, number in enumerate(order[start : start + batch_size])
        ]
        assert submitter.submit_all(records, EventLog()) == {"batchItemFailures": []}

    assert [len(jobs) for jobs in batch.jobs.values()] == [1] * count
    expected = FakeResults()
    run_job(bodies[0], expected, [])
    for (job,) in batch.jobs.values():
        (variable,) = job["containerOverrides"]["environment"]
        results = FakeResults()
        run_job(variable["value"], results, dies_at)
        assert variable["name"] == REQUEST_VARIABLE
        assert results.rows() == expected.rows()
        assert results.summary is not None
        assert expected.summary is not None
        assert replace(results.summary, poster=None) == replace(expected.summary, poster=None)  # named by analysis
