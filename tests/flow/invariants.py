"""What must hold after every step of the world, and what in the end."""

from collections import Counter
from typing import Any
from uuid import UUID

from django.db import connection

from backend.plans.models import LedgerEntry
from backend.videos.models import Analysis, AnalysisEvent, Chunk, DeadRequest, OutboxMessage, OwedCall, Video
from backend.webhooks.models import Delivery
from contract.keys import analysis_prefix
from contract.statuses import TERMINAL, TRANSITIONS, AnalysisStatus
from tests.flow.container import CHUNKS
from tests.flow.world import OVER, World

# One answer for everything that the tables themselves can say; `ended` holds one row for each end in a history.
WRONG = """
WITH ended AS (
    SELECT analysis_id, id, status FROM videos_analysisevent WHERE status = ANY(%(over)s)
), owed AS (
    SELECT endpoint.id AS endpoint_id, ended.analysis_id, ended.id AS event_id
    FROM ended JOIN videos_analysis AS analysis ON analysis.id = ended.analysis_id
    JOIN webhooks_endpoint AS endpoint ON endpoint.owner_id = analysis.owner_id
    WHERE endpoint.enabled AND 'analysis.' || ended.status = ANY(endpoint.events)
)
SELECT 'its history has not one end, its own', id::text FROM videos_analysis AS analysis
WHERE (SELECT coalesce(array_agg(status), '{}') FROM ended WHERE analysis_id = analysis.id)
      != CASE WHEN status = ANY(%(over)s) THEN ARRAY[status] ELSE '{}' END
UNION ALL
SELECT 'its credits are not closed once, when it is', entry.analysis_id::text
FROM plans_ledgerentry AS entry LEFT JOIN videos_analysis AS analysis ON analysis.id = entry.analysis_id
WHERE entry.kind = 'reservation' AND entry.user_id = ANY(%(owners)s)
  AND (SELECT coalesce(array_agg(kind), '{}') FROM plans_ledgerentry
       WHERE analysis_id = entry.analysis_id AND kind != 'reservation')
      != CASE WHEN analysis.status IN ('queued', 'submitted', 'running') THEN '{}'
              WHEN analysis.status = 'succeeded' THEN ARRAY['settlement']
              WHEN analysis.id IS NULL
              THEN (SELECT array_agg(kind) FROM plans_ledgerentry
                    WHERE analysis_id = entry.analysis_id AND kind IN ('settlement', 'refund') LIMIT 1)
              ELSE ARRAY['refund'] END
UNION ALL
SELECT 'a webhook is not told once, of what it wants', endpoint_id || ' ' || analysis_id
FROM (
    SELECT endpoint_id, analysis_id, event_id FROM owed
    EXCEPT ALL SELECT endpoint_id, analysis_id, event_id FROM webhooks_delivery
) AS missing
UNION ALL
SELECT 'a webhook is told twice of an analysis', endpoint_id || ' ' || analysis_id
FROM webhooks_delivery GROUP BY endpoint_id, analysis_id HAVING count(*) > 1
UNION ALL
SELECT 'its video is deleted and it is not, or not over', analysis.id::text
FROM videos_analysis AS analysis JOIN videos_video AS video ON video.id = analysis.video_id
WHERE video.deleted_at IS NOT NULL AND (analysis.deleted_at IS NULL OR analysis.status != ALL(%(over)s))
UNION ALL
SELECT 'balances do not sum', user_id::text
FROM plans_ledgerentry AS entry WHERE user_id = ANY(%(owners)s) GROUP BY user_id
HAVING sum(credits) !=
    (SELECT balance FROM plans_ledgerentry WHERE user_id = entry.user_id ORDER BY id DESC LIMIT 1)
"""
COLUMNS = ("id", "owner_id", "status", "on_demand", "claim_job_id", "claim_attempt", "error_code", "deleted_at")


class Watch:
    """Looks at the world after every step, and remembers what it saw."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.look = self.look
        self.last: dict[UUID, dict[str, Any]] = {}
        self.videos: set[UUID] = set()

    def look(self) -> None:
        with connection.cursor() as cursor:
            owners = [owner.pk for owner in self.world.owners.values()]
            cursor.execute(WRONG, {"over": OVER, "owners": owners})
            assert cursor.fetchall() == []
        rows = {row["id"]: row for row in Analysis.objects.values(*COLUMNS)}
        for analysis_id, row in rows.items():
            self._transition(self.last.get(analysis_id), row)
            self._claims(row)
        self._jobs()
        assert self.last.keys() - rows.keys() <= self.world.deleted
        self.last |= rows
        videos = set(Video.objects.values_list("pk", flat=True))
        assert self.videos - videos <= self.world.deleted
        self.videos |= videos
        assert {video.key for video in Video.objects.filter(deleted_at=None)} <= self.world.machines.objects
        assert all(count == 1 for count in self.world.redriven.values())

    def _transition(self, before: dict[str, Any] | None, after: dict[str, Any]) -> None:
        new = AnalysisStatus(after["status"])
        old = AnalysisStatus(before["status"]) if before else AnalysisStatus.QUEUED
        assert new == old or (old not in TERMINAL and _reachable(old, new)), (old, new)
        if new == AnalysisStatus.FAILED:
            assert after["error_code"] in self.world.machines.expected[after["id"]], after
        if new == AnalysisStatus.CANCELLED:
            assert after["id"] in self.world.cancelled
        assert (new == AnalysisStatus.SUCCEEDED) == (after["id"] in self.world.machines.finished)
        assert not (before and before["on_demand"] and not after["on_demand"])

    def _claims(self, row: dict[str, Any]) -> None:
        """One container may write, or jobs of one array, each once, and its zombie."""
        tokens = [container.claim.token for container in self.world.machines.holders(row)]
        if row["status"] != AnalysisStatus.RUNNING or not tokens:
            return
        assert len({token.job_id.partition(":")[0] for token in tokens}) == 1
        assert all(token.together for token in tokens) or len(tokens) == 1
        assert all(token.on_demand == row["on_demand"] for token in tokens)

    def _jobs(self) -> None:
        """One of a name, and a second only where ListJobs did not tell of the first."""
        machines = self.world.machines
        for (name, _), count in Counter(machines.names()).items():
            assert count <= 1 + machines.doubled[name], name

    # In the end

    def check(self) -> None:
        """Every analysis is over and right, nothing is owed, and nothing goes on."""
        self.look()
        world, machines = self.world, self.world.machines
        assert not world.at_work()
        assert [world.queues.requests, world.queues.dead, world.queues.events] == [[], [], []]
        assert len(machines.finished) == len(set(machines.finished))
        assert {row["status"] for row in self.last.values()} <= set(OVER)
        assert world.kinds.keys() == self.last.keys()
        assert not OwedCall.objects.exclude(given_up_at=None).exists()
        self._results()
        self._ledger()
        self._removed()
        for analysis_id, row in self.last.items():
            made = Analysis.objects.filter(retry_of=analysis_id).count()
            asked = world.retried[analysis_id] + world.redriven[analysis_id]
            # A retry that was deleted is forgotten, and so is what it was of.
            assert made <= asked
            assert row["status"] in ("failed", "cancelled") or not asked

    def _results(self) -> None:
        for row in Analysis.objects.filter(status="succeeded").values("id", "frames_done", "frames_total"):
            chunks = 3 if self.world.kinds[row["id"]] == "long" else CHUNKS
            numbers = (
                Chunk.objects.filter(analysis_id=row["id"]).order_by("number").values_list("number", flat=True)
            )
            assert list(numbers) == list(range(chunks))
            assert (row["frames_done"], row["frames_total"]) == (chunks, chunks)

    def _ledger(self) -> None:
        for analysis_id, row in self.last.items():
            entries = LedgerEntry.objects.filter(analysis_id=analysis_id).order_by("id")
            closing = "settlement" if row["status"] == "succeeded" else "refund"
            assert [entry.kind for entry in entries] == ["reservation", closing]
            assert closing == "settlement" or sum(entry.credits for entry in entries) == 0

    def _removed(self) -> None:
        gone = [analysis_id for analysis_id, row in self.last.items() if row["deleted_at"] is not None]
        for model, column in ((Analysis, "pk"), (AnalysisEvent, "analysis_id"), (OutboxMessage, "analysis_id")):
            assert not model.objects.filter(**{f"{column}__in": gone}).exists()
        assert not DeadRequest.objects.filter(analysis_id__in=gone).exists()
        left = [key for key in self.world.machines.objects if key.startswith(tuple(map(analysis_prefix, gone)))]
        assert left == []
        assert not Video.objects.exclude(deleted_at=None).exists()
        stored = {key for key in self.world.machines.objects if key.startswith("uploads/")}
        assert stored == {video.key for video in Video.objects.all()}
        assert Delivery.objects.exclude(analysis_id__in=self.last).count() == 0


def _reachable(old: AnalysisStatus, new: AnalysisStatus) -> bool:
    """In one step of the world, which may be several transitions."""
    reached, front = {old}, {old}
    while front:
        front = {after for before in front for after in TRANSITIONS[before]} - reached
        reached |= front
    return new in reached
