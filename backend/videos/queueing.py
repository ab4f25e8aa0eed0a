"""The row of a new analysis, its first event and the message that is owed for it, in one statement."""

from django.db.models import Model
from psycopg.types.json import Jsonb

from backend.config.prepared import run_prepared
from backend.videos.models import Analysis, AnalysisEvent, OutboxMessage


def _table(model: type[Model]) -> str:
    return f'"{model._meta.db_table}"'


# What is not named gets the database's own default, which each of these columns has.
_STORE = f"""
    WITH queued AS (
        INSERT INTO {_table(Analysis)}
            (id, owner_id, video_id, model, task, class_names, options, plan, retry_of_id)
        VALUES (%(id)s, %(owner)s, %(video)s, %(model)s, %(task)s, %(class_names)s, %(options)s, %(plan)s,
            %(retry_of)s)
        RETURNING id, status, created_at, updated_at
    ), told AS (
        INSERT INTO {_table(AnalysisEvent)} (analysis_id, status, source) SELECT id, status, 'backend' FROM queued
    ), owed AS (
        INSERT INTO {_table(OutboxMessage)} (analysis_id, body) SELECT id, %(message)s FROM queued
    )
    SELECT created_at, updated_at FROM queued
"""


def store_queued(analysis: Analysis, *, message: str) -> None:
    """Stores a new analysis and gives it the times that the database has set. Raises Django's database errors."""
    values = {
        "id": analysis.pk,
        "owner": analysis.owner_id,
        "video": analysis.video_id,
        "model": analysis.model,
        "task": analysis.task,
        "class_names": Jsonb(analysis.class_names),
        "options": Jsonb(analysis.options),
        "plan": analysis.plan,
        "retry_of": analysis.retry_of_id,
        "message": message,
    }
    analysis.created_at, analysis.updated_at = run_prepared(_STORE, values)  # type: ignore[misc]  # a row comes
    analysis._state.adding, analysis._state.db = False, "default"
