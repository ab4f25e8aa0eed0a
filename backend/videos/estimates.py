"""When an analysis will begin and end, as far as anything tells; None where nothing does, or what did has passed.

- Waiting: requested at + the median wait of the last 20 analyses of the same plan that began within six hours, if
  at least three did. Under fair share a place in the queue says little: what others of the same plan went through
  tells more.
- Running: last written at + frames to come × (last written at - began at) / frames done. It counts what an
  interrupted attempt lost and how long the next one waited, so that after a retry it is late rather than early.
  The annotated video and other work behind the last frame are not in it.
"""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from backend.videos.models import Analysis
from contract.statuses import AnalysisStatus

_WAITING = (AnalysisStatus.QUEUED, AnalysisStatus.SUBMITTED)
# PostgreSQL runs the inner query only for rows that wait.
_USUAL_WAIT = """
    CASE WHEN videos_analysis.status IN ('queued', 'submitted') THEN (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY wait) FROM (
            SELECT begun.started_at - begun.created_at AS wait FROM videos_analysis AS begun
            WHERE begun.plan = videos_analysis.plan AND begun.started_at > now() - interval '6 hours'
            ORDER BY begun.started_at DESC LIMIT 20
        ) AS lately HAVING count(*) >= 3
    ) END
"""


def with_usual_wait(analyses: QuerySet[Analysis]) -> QuerySet[Analysis]:
    """With what `estimated_start` needs, in the same query."""
    return analyses.annotate(usual_wait=RawSQL(_USUAL_WAIT, ()))


def estimated_start(analysis: Analysis) -> datetime | None:
    """Of one that waits, and was read `with_usual_wait`."""
    wait = getattr(analysis, "usual_wait", None)
    if wait is None or analysis.status not in _WAITING:
        return None
    return _to_come(analysis.created_at + wait)


def estimated_finish(analysis: Analysis) -> datetime | None:
    """Of one whose frames are being analysed."""
    done, total, began = analysis.frames_done, analysis.frames_total, analysis.started_at
    if analysis.status != AnalysisStatus.RUNNING or not total or done <= 0 or began is None:
        return None
    return _to_come(analysis.updated_at + (analysis.updated_at - began) / done * max(total - done, 0))


def _to_come(at: datetime) -> datetime | None:
    return at if at > timezone.now() else None


def estimates(analysis: Analysis) -> dict[str, Any]:
    return {
        "estimated_start_at": estimated_start(analysis),
        "estimated_finish_at": estimated_finish(analysis),
    }
