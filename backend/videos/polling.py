"""Asking again and again for one analysis: what has not changed is not sent, and when to come back is said."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.http import parse_etags

from backend.videos.estimates import estimated_finish, estimated_start
from backend.videos.models import Analysis
from contract.statuses import AnalysisStatus

# A request becomes a job within a second; a machine takes minutes to come, and then seconds to begin.
_QUEUED_SECONDS = 1
_SUBMITTED_SECONDS = {"": 2, "SUBMITTED": 2, "PENDING": 2, "STARTING": 2, "RUNNING": 1}
_NO_MACHINE_SECONDS = 5
_LONGEST_SECONDS = 10
_STEPS = 20  # how often to look while it runs, if the estimate holds


def with_version(analyses: QuerySet[Analysis]) -> QuerySet[Analysis]:
    """With `version`, which every writer changes without knowing: the transaction that wrote the row last."""
    return analyses.annotate(version=RawSQL("videos_analysis.xmin::text", (), output_field=TextField()))


def polled(request: HttpRequest, analysis: Analysis, answer: Callable[[], HttpResponse]) -> HttpResponse:
    """What `answer` makes, or 304 without calling it where the client has that already."""
    etag = etag_of(analysis)
    response = HttpResponseNotModified() if _has(request, etag) else answer()
    response["ETag"] = etag
    return with_poll_headers(response, analysis)


def with_poll_headers(response: HttpResponse, analysis: Analysis) -> HttpResponse:
    response["Cache-Control"] = "private, no-cache"  # a client may keep it, and asks whether it still holds
    patch_vary_headers(response, ("Authorization", "Cookie"))
    if (seconds := retry_after(analysis)) is not None:
        response["Retry-After"] = str(seconds)
    return response


def _has(request: HttpRequest, etag: str) -> bool:
    """Django's own comparison also answers 412 where If-Match comes along, which is meant for changes."""
    given = parse_etags(request.headers.get("If-None-Match", ""))
    return given == ["*"] or etag.removeprefix("W/") in (known.removeprefix("W/") for known in given)


def etag_of(analysis: Analysis) -> str:
    """Changes with the row, and with the estimates, which also follow other rows and the clock."""
    moments: list[Any] = [estimated_start(analysis), estimated_finish(analysis)]
    parts = [analysis.version, *("" if at is None else f"{at.timestamp():.6f}" for at in moments)]  # type: ignore[attr-defined]
    return f'W/"{"-".join(parts)}"'


def retry_after(analysis: Analysis) -> int | None:
    """Seconds until something may have changed; None when nothing will any more."""
    match AnalysisStatus(analysis.status):
        case AnalysisStatus.QUEUED:
            return _QUEUED_SECONDS
        case AnalysisStatus.SUBMITTED:
            return _SUBMITTED_SECONDS.get(analysis.batch_state, _NO_MACHINE_SECONDS)
        case AnalysisStatus.RUNNING:
            finish = estimated_finish(analysis)
            left = (finish - timezone.now()).total_seconds() if finish else 0.0
            return int(min(max(left / _STEPS, 1), _LONGEST_SECONDS))
    return None
