"""When an analysis will begin and end, as far as anything tells; None where nothing does, or what did has passed.

- Waiting: requested at + the median wait of the last 20 analyses of the same plan that began within six hours, if
  at least three did. Under fair share a place in the queue says little: what others of the same plan went through
  tells more. The end is that, and the video's length × the median pace of the last 20 analyses with the same model
  and the same options that succeeded within a week, again if there are three.
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
# PostgreSQL runs the inner queries only for rows that wait.
_USUAL_WAIT = """
    CASE WHEN videos_analysis.status IN ('queued', 'submitted') THEN (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY wait) FROM (
            SELECT begun.started_at - begun.created_at AS wait FROM videos_analysis AS begun
            WHERE begun.plan = videos_analysis.plan AND begun.started_at > now() - interval '6 hours'
            ORDER BY begun.started_at DESC LIMIT 20
        ) AS lately HAVING count(*) >= 3
    ) END
"""


_USUAL_RUN = """
    CASE WHEN videos_analysis.status IN ('queued', 'submitted') THEN make_interval(secs => (
        SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY pace) FROM (
            SELECT extract(epoch FROM recent.finished_at - recent.started_at) / recent.seconds AS pace FROM (
                SELECT ended.*, (film.facts->>'duration_us')::float8 / 1000000 AS seconds
                FROM videos_analysis AS ended JOIN videos_video AS film ON film.id = ended.video_id
                WHERE ended.model = videos_analysis.model AND ended.status = 'succeeded'
                  AND ended.finished_at > now() - interval '7 days'
                ORDER BY ended.finished_at DESC LIMIT 200
            ) AS recent
            WHERE recent.seconds > 0 AND recent.options = videos_analysis.options
            ORDER BY recent.finished_at DESC LIMIT 20
        ) AS lately HAVING count(*) >= 3
    ) * (
        SELECT (own.facts->>'duration_us')::float8 / 1000000 FROM videos_video AS own
        WHERE own.id = videos_analysis.video_id
    )) END
"""


def with_usual_times(analyses: QuerySet[Analysis]) -> QuerySet[Analysis]:
    """With what the estimates of those that wait need, in the same query."""
    return analyses.annotate(usual_wait=RawSQL(_USUAL_WAIT, ()), usual_run=RawSQL(_USUAL_RUN, ()))


def estimated_start(analysis: Analysis) -> datetime | None:
    """Of one that waits, and was read `with_usual_times`."""
    wait = getattr(analysis, "usual_wait", None)
    if wait is None or analysis.status not in _WAITING:
        return None
    return _to_come(analysis.created_at + wait)


def estimated_finish(analysis: Analysis) -> datetime | None:
    """Of one whose frames are being analysed, or that waits and was read `with_usual_times`."""
    if analysis.status in _WAITING:
        start, run = estimated_start(analysis), getattr(analysis, "usual_run", None)
        return None if start is None or run is None else start + run
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
