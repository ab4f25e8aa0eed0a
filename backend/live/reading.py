"""What streams are made of: the rows behind notices, and what a client has missed. In server-sent events' form."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.expressions import RawSQL
from rest_framework.utils.encoders import JSONEncoder

from backend.config.threads import in_thread
from backend.live.hub import Message, Notice
from backend.videos.estimates import with_usual_times
from backend.videos.models import ACTIVE_STATUSES, Analysis, AnalysisEvent
from backend.videos.representations import event_document, is_over, status_document
from contract.statuses import TERMINAL

MOST_MISSED = 1000  # events; whoever has missed more reads the list again

_HORIZON = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """The id of an event as a client gets it, `<event>-<horizon>`.

    Events of one analysis are numbered in the order of their commits, because whoever appends one holds the
    analysis' row. Those of several are not: 7 may be committed after 8. So whoever has 8 is given again what
    transactions wrote that had not ended when 8 was appended; the horizon is the first of them.
    """

    event_id: int
    horizon: int

    def __str__(self) -> str:
        return f"{self.event_id}-{self.horizon}"

    @classmethod
    def from_text(cls, text: str) -> "Position":
        """Raises ValueError."""
        event_id, dash, horizon = text.partition("-")
        numbers = (event_id, horizon)
        if not dash or not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in numbers):
            raise ValueError("not the id of an event")
        return cls(event_id=int(event_id), horizon=int(horizon))


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """What a stream begins with."""

    messages: list[Message]
    events: frozenset[int]  # which of them are in it: they may also come as notices
    over: bool  # nothing will happen to the one analysis any more
    missed_too_many: bool


async def read_notices(notices: list[Notice]) -> list[Message]:
    """Events word for word, and how each analysis stands now. Raises Django's database errors."""
    return await in_thread(lambda: _messages_of(notices))


async def read_start(*, owner_id: int, analysis_id: UUID | None, after: Position | None) -> Start:
    """How things stand, and before it what has happened after `after`. Raises Django's database errors."""

    def work() -> Start:
        # Of one moment: what is committed after it comes as a notice.
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return _start(owner_id, analysis_id, after)

    return await in_thread(work)


def missed(*, owner_id: int, analysis_id: UUID | None, after: Position) -> QuerySet[AnalysisEvent]:
    events = AnalysisEvent.objects.filter(analysis__owner_id=owner_id, analysis__deleted_at=None)
    if analysis_id is not None:
        return events.filter(analysis_id=analysis_id, id__gt=after.event_id)
    return events.filter(transaction__gte=after.horizon).exclude(id=after.event_id)


def sse(kind: str, document: Any, position: Position | None = None) -> bytes:
    """One server-sent event. JSON has no line breaks of its own, so that the data is one line."""
    data = json.dumps(document, cls=JSONEncoder, separators=(",", ":"))
    head = "" if position is None else f"id: {position}\n"
    return f"{head}event: {kind}\ndata: {data}\n\n".encode()


def _messages_of(notices: list[Notice]) -> list[Message]:
    horizons = {notice.event_id: notice.horizon for notice in notices if notice.event_id is not None}
    events = AnalysisEvent.objects.filter(id__in=list(horizons)).annotate(owner_id=F("analysis__owner_id"))
    # Read first, so that what is told of the analyses is never older than the last event.
    messages = [_event(event, event.owner_id, int(horizons[event.pk] or 0)) for event in events.order_by("id")]
    changed = Analysis.objects.filter(pk__in={notice.analysis_id for notice in notices}, deleted_at=None)
    return [*messages, *map(_state, _standing(changed))]


def _start(owner_id: int, analysis_id: UUID | None, after: Position | None) -> Start:
    events: list[AnalysisEvent] = []
    if after is not None:
        rows = missed(owner_id=owner_id, analysis_id=analysis_id, after=after).order_by("id")
        events = list(rows.annotate(seen_from=RawSQL(_HORIZON, ()))[: MOST_MISSED + 1])
    too_many = len(events) > MOST_MISSED
    if too_many:
        events = []
    standing = Analysis.objects.filter(owner_id=owner_id, deleted_at=None)
    if analysis_id is not None:
        standing = standing.filter(pk=analysis_id)
    else:
        known = {event.analysis_id for event in events}
        standing = standing.filter(pk__in=known) | standing.filter(status__in=ACTIVE_STATUSES)
    analyses = _standing(standing)
    messages = [_event(event, owner_id, event.seen_from) for event in events]  # type: ignore[attr-defined]
    return Start(
        messages=[*messages, *map(_state, analyses)],
        events=frozenset(event.pk for event in events),
        over=analysis_id is not None and all(map(is_over, analyses)),
        missed_too_many=too_many,
    )


def _event(event: AnalysisEvent, owner_id: int, horizon: int) -> Message:
    document = {"analysis": str(event.analysis_id), **event_document(event)}
    return Message(
        analysis_id=event.analysis_id,
        owner_id=owner_id,
        key=("event", event.pk),
        data=sse("transition", document, Position(event_id=event.pk, horizon=horizon)),
        over=event.status in TERMINAL,
    )


def _standing(analyses: QuerySet[Analysis]) -> list[Analysis]:
    return list(with_usual_times(analyses).order_by("created_at", "id"))


def _state(analysis: Analysis) -> Message:
    return Message(
        analysis_id=analysis.pk,
        owner_id=analysis.owner_id,
        key=("analysis", analysis.pk),
        data=sse("analysis", status_document(analysis)),
    )
