"""What was under way when the last stack stopped: its queue and its jobs were in memory and are gone."""

import psycopg
from psycopg.types.json import Jsonb

from contract import tables
from contract.errors import FAILURES, ErrorCode
from contract.statuses import AnalysisStatus

_LOST = FAILURES[ErrorCode.JOB_LOST]


def settle_leftovers(database_url: str) -> None:
    """Sends again what waited for a job, and closes what had one. Runs before anything else serves."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            f"""
            UPDATE videos_outboxmessage SET sent_at = NULL
            WHERE analysis_id IN (SELECT id FROM {tables.ANALYSIS} WHERE status = %s)
            """,
            [AnalysisStatus.QUEUED],
        )
        connection.execute(
            f"""
            WITH lost AS (
                UPDATE {tables.ANALYSIS}
                SET status = %(failed)s, stage = '', error_code = %(code)s, error_message = %(sentence)s,
                    error_retryable = %(retryable)s, finished_at = now(), updated_at = now()
                WHERE status = ANY(%(under_way)s)
                RETURNING id
            )
            INSERT INTO {tables.EVENT} (analysis_id, status, source, detail)
            SELECT id, %(failed)s, 'batch', %(detail)s FROM lost
            """,
            {
                "failed": AnalysisStatus.FAILED,
                "code": ErrorCode.JOB_LOST,
                "sentence": _LOST.sentence,
                "retryable": _LOST.retryable,
                "under_way": [AnalysisStatus.SUBMITTED, AnalysisStatus.RUNNING],
                "detail": Jsonb({"code": ErrorCode.JOB_LOST, "reason": "the local stack was stopped"}),
            },
        )
