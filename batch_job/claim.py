"""The claim: exactly one container may write to an analysis.

Batch job id and attempt are a fencing token: every transaction first updates the analysis's row under the
condition that the claim still stands. The row's lock makes a container that has lost its claim wait, and then find
nothing.

Only psycopg is imported here, so that a failure can be told even where the machine image lacks everything else.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

from batch_job.database import Database
from batch_job.errors import AnalysisError, ClaimLost
from batch_job.machine import UNKNOWN, Machine
from contract import tables
from contract.statuses import AnalysisStatus, Stage, may_become

_NAMES = {
    name.lower(): sql.Identifier(getattr(tables, name))
    for name in ("ANALYSIS", "EVENT", "RUN", "CHUNK", "DETECTION", "TRACK", "SECOND")
}
HELD = "WHERE id = %(id)s AND status = %(running)s AND claim_job_id = %(job_id)s AND claim_attempt = %(attempt)s"


def named(text: str) -> sql.Composed:
    """SQL with {analysis}, {event}, {run}, {chunk} and so on replaced by the tables' names."""
    return sql.SQL(text).format(**_NAMES)


_TAKE = named("""
    UPDATE {analysis}
    SET status = %(running)s, stage = %(starting)s, claim_job_id = %(job_id)s, claim_attempt = %(attempt)s,
        started_at = coalesce(started_at, now()), updated_at = now()
    WHERE id = %(id)s AND on_demand = %(on_demand)s
      AND (status = ANY(%(claimable)s)
           OR status = %(running)s AND claim_job_id = %(job_id)s AND claim_attempt < %(attempt)s)
    RETURNING id
""")
ENTER = named(f"UPDATE {{analysis}} SET stage = %(stage)s, updated_at = now() {HELD} RETURNING id")
_FAIL = named(f"""
    UPDATE {{analysis}}
    SET status = %(failed)s, stage = '', error_code = %(code)s, error_message = %(sentence)s,
        error_retryable = %(retryable)s, finished_at = now(), updated_at = now()
    {HELD} RETURNING id
""")
_STATE = named("SELECT status, claim_job_id, claim_attempt FROM {analysis} WHERE id = %(id)s")
_EVENT = named("""
    INSERT INTO {event} (analysis_id, at, status, source, detail)
    VALUES (%(id)s, clock_timestamp(), %(status)s, 'job', %(detail)s)
""")
_RUN = named("""
    INSERT INTO {run} (analysis_id, job_id, attempt, gpu, instance_type, market, zone)
    VALUES (%(id)s, %(job_id)s, %(attempt)s, %(gpu)s, %(instance_type)s, %(market)s, %(zone)s)
    ON CONFLICT DO NOTHING
""")
_SEEN = named("""
    UPDATE {run} SET seen_at = clock_timestamp()
    WHERE analysis_id = %(id)s AND job_id = %(job_id)s AND attempt = %(attempt)s
""")

# Of the jobs of an array: whoever comes first takes the claim for all of them.
_TAKE_TOGETHER = named("""
    UPDATE {analysis}
    SET status = %(running)s, stage = %(starting)s, claim_job_id = %(job_id)s, claim_attempt = %(attempt)s,
        started_at = coalesce(started_at, now()), updated_at = now()
    WHERE id = %(id)s AND on_demand = %(on_demand)s AND status = ANY(%(claimable)s) RETURNING id
""")
_TAKE_ALONE = named(f"""
    UPDATE {{analysis}}
    SET claim_job_id = %(own_job_id)s, claim_attempt = %(own_attempt)s, updated_at = now() {HELD} RETURNING id
""")
_TOGETHER = 0  # the attempt of a claim that the jobs of an array hold together


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """One attempt of one Batch job at one analysis, or of one job of an array."""

    analysis_id: UUID
    job_id: str  # AWS Batch names the jobs of an array `parent:index`
    attempt: int
    together: bool = False  # the jobs of the array, and all their attempts, hold the claim together
    on_demand: bool = False  # of a job that was submitted after Spot machines had been given up

    def values(self) -> dict[str, object]:
        return {
            "id": self.analysis_id,
            "job_id": self.job_id.partition(":")[0] if self.together else self.job_id,
            "attempt": _TOGETHER if self.together else self.attempt,
            "on_demand": self.on_demand,
            "running": AnalysisStatus.RUNNING.value,
        }


class Claim:
    """Every method may raise DatabaseUnavailable, and ClaimLost where somebody else has the analysis."""

    def __init__(self, database: Database, token: Token, machine: Machine = UNKNOWN) -> None:
        self._database = database
        self._machine = machine
        self.token = token
        self.taken = False

    def take(self) -> None:
        """Takes the analysis over: from nobody, or from an earlier attempt of the same Batch job.

        A job of an array joins the others, unless it has taken the analysis alone in an earlier attempt. Raises
        ClaimLost, saying how it stands, where it is finished, cancelled or held by another container.
        """
        claimable = sorted(set(may_become(AnalysisStatus.RUNNING)) - {AnalysisStatus.RUNNING.value})
        values = {"starting": Stage.STARTING.value, "claimable": claimable}

        token, alone = self.token, replace(self.token, together=False)

        def work(connection: psycopg.Connection, repeated: bool) -> Token:
            if token.together:
                if connection.execute(_TAKE_TOGETHER, token.values() | values).fetchone() is not None:
                    self.append_event(connection, AnalysisStatus.RUNNING, self._attempt())
                if self._stands_as(connection, AnalysisStatus.RUNNING, token):
                    self._begin_run(connection)
                    return token
            if repeated and self._stands_as(connection, AnalysisStatus.RUNNING, alone):
                return alone
            self.hold(connection, _TAKE, values, token=alone)
            self.append_event(connection, AnalysisStatus.RUNNING, self._attempt())
            self._begin_run(connection)
            return alone

        self.token = self._database.transact(work)
        self.taken = True

    def alone(self, connection: psycopg.Connection, repeated: bool) -> Token:
        """Inside a transaction: of the jobs of an array, only this one holds the claim from now on.

        Its token, to become the claim's once the transaction is committed; whoever writes with it in the same
        transaction finds out whether it still holds. Raises ClaimLost where another job of the array was first.
        """
        alone = replace(self.token, together=False)
        if not self.token.together or (repeated and self._stands_as(connection, AnalysisStatus.RUNNING, alone)):
            return alone
        values = {"own_job_id": alone.job_id, "own_attempt": alone.attempt}
        self.hold(connection, _TAKE_ALONE, values)
        self.append_event(connection, AnalysisStatus.RUNNING, self._attempt() | {"alone": True})
        return alone

    def enter(self, stage: Stage) -> None:
        """Tells the user what is being done."""
        self._database.transact(lambda connection, _: self.hold(connection, ENTER, {"stage": stage.value}))

    def fail(self, error: AnalysisError) -> None:
        """The analysis has failed for good."""

        def work(connection: psycopg.Connection, repeated: bool) -> None:
            if repeated and self.stands_as(connection, AnalysisStatus.FAILED):
                return
            values = {
                "failed": AnalysisStatus.FAILED.value,
                "code": error.code.value,
                "sentence": error.sentence,
                "retryable": error.retryable,
            }
            self.hold(connection, _FAIL, values)
            self.seen(connection)
            self.append_event(connection, AnalysisStatus.FAILED, {"code": error.code.value})

        self._database.transact(work)

    def hold(
        self,
        connection: psycopg.Connection,
        statement: sql.Composed,
        values: Mapping[str, object],
        *,
        token: Token | None = None,
    ) -> Any:
        """Runs a guarded update inside a transaction, and gives what it returns first.

        Raises ClaimLost where the guard finds no row.
        """
        held = connection.execute(statement, (token or self.token).values() | dict(values)).fetchone()
        if held is None:
            row = self._state(connection)
            raise ClaimLost(
                "there is no such analysis" if row is None else "{}, claim {}, attempt {}".format(*row)
            )
        return held[0]

    def append_event(
        self, connection: psycopg.Connection, status: AnalysisStatus, detail: Mapping[str, object]
    ) -> None:
        values = {"id": self.token.analysis_id, "status": status.value, "detail": json.dumps(detail)}
        connection.execute(_EVENT, values)

    def seen(self, connection: psycopg.Connection) -> None:
        """Inside a transaction that commits work: until now this container has been at it."""
        connection.execute(_SEEN, self._run())

    def stands_as(self, connection: psycopg.Connection, status: AnalysisStatus) -> bool:
        """Has this very attempt brought the analysis to `status`? Asked when an answer may have been lost."""
        return self._stands_as(connection, status, self.token)

    def _stands_as(self, connection: psycopg.Connection, status: AnalysisStatus, token: Token) -> bool:
        values = token.values()
        return self._state(connection) == (status.value, values["job_id"], values["attempt"])

    def _begin_run(self, connection: psycopg.Connection) -> None:
        connection.execute(_RUN, self._run() | asdict(self._machine))

    def _run(self) -> dict[str, object]:
        return {"id": self.token.analysis_id, "job_id": self.token.job_id, "attempt": self.token.attempt}

    def _attempt(self) -> dict[str, object]:
        _, _, index = self.token.job_id.partition(":")
        return {"attempt": self.token.attempt, **({"array_index": int(index)} if index else {})}

    def _state(self, connection: psycopg.Connection) -> tuple[str, str | None, int | None] | None:
        return connection.execute(_STATE, {"id": self.token.analysis_id}).fetchone()
