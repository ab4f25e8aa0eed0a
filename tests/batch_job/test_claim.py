"""The claim: exactly one container may write, and what it says is told to the user."""

from uuid import UUID, uuid4

import psycopg
import pytest

from batch_job.database import Database
from batch_job.errors import ClaimLost, VideoUnreadable
from contract.messages import AnalysisRequest
from contract.statuses import Stage
from tests.batch_job.job import add_analysis, analysis_row, result_rows
from tests.batch_job.stored import CHUNKS, REPORT, SUMMARY, claim_of, taken


def test_a_claim_is_told_to_the_user(database_url: str, database: Database, analysis_id: UUID) -> None:
    claim, _ = taken(database, analysis_id)
    claim.enter(Stage.FETCHING)
    row = analysis_row(database_url, analysis_id)
    assert (row["status"], row["stage"], row["claim_job_id"], row["claim_attempt"]) == (
        "running",
        "fetching",
        "job-1",
        1,
    )
    assert row["started_at"] is not None
    assert row["events"] == [("running", "job")]


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_what_has_ended_cannot_be_claimed(database_url: str, database: Database, status: str) -> None:
    """SQS delivers at least once, so a second job may start when the first is long done."""
    request = AnalysisRequest(analysis_id=uuid4(), video_key="uploads/1/x", model="colours")
    add_analysis(database_url, request, status=status)
    with pytest.raises(ClaimLost, match=status):
        claim_of(database, request.analysis_id).take()
    assert analysis_row(database_url, request.analysis_id)["events"] == []


def test_another_jobs_claim_stands(database: Database, analysis_id: UUID) -> None:
    taken(database, analysis_id)
    with pytest.raises(ClaimLost, match="job-1"):
        claim_of(database, analysis_id, job_id="job-2").take()


def test_the_next_attempt_takes_over_and_the_first_can_write_no_more(
    database_url: str, database: Database, analysis_id: UUID
) -> None:
    """The first container may still be alive on a machine that was thought lost."""
    first, first_store = taken(database, analysis_id)
    _, second_store = taken(database, analysis_id, attempt=2)
    for write in (
        lambda: first_store.write_chunk(CHUNKS[0], frames_total=4),
        lambda: first_store.finish(summary=SUMMARY, report=REPORT, seconds={}),
        lambda: first.fail(VideoUnreadable()),
        lambda: first.enter(Stage.FINISHING),
        first.take,
    ):
        with pytest.raises(ClaimLost):
            write()
    assert result_rows(database_url, analysis_id)["chunks"] == []
    second_store.write_chunk(CHUNKS[0], frames_total=4)
    assert len(result_rows(database_url, analysis_id)["chunks"]) == 1


def test_a_cancelled_analysis_is_left_alone(database_url: str, database: Database, analysis_id: UUID) -> None:
    _, store = taken(database, analysis_id)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE videos_analysis SET status = 'cancelled'")
    with pytest.raises(ClaimLost, match="cancelled"):
        store.write_chunk(CHUNKS[0], frames_total=4)


def test_an_unknown_analysis_cannot_be_claimed(database: Database, analysis_id: UUID) -> None:
    with pytest.raises(ClaimLost, match="no such analysis"):
        claim_of(database, uuid4()).take()
