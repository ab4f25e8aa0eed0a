"""Whole results as files."""

import uuid
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, StreamingHttpResponse
from django.utils.http import content_disposition_header
from rest_framework.request import Request
from rest_framework.views import APIView

from backend.videos import exporting, selectors
from backend.videos.errors import AnalysisNotSucceeded, ExportFormatUnknown, ExportUnavailable
from contract.statuses import AnalysisStatus
from exports.formats import FORMATS


class AnalysisExport(APIView):
    def get(self, request: Request, analysis_id: uuid.UUID, export_format: str) -> StreamingHttpResponse:
        analysis = selectors.analysis_of(request.user, analysis_id)
        if analysis is None:
            raise Http404
        form = FORMATS.get(export_format)
        if form is None:
            raise ExportFormatUnknown(sorted(FORMATS))
        if not form.available:
            raise ExportUnavailable(form.title)
        if analysis.status != AnalysisStatus.SUCCEEDED:
            raise AnalysisNotSucceeded(analysis.status)
        headers = {
            "Content-Type": form.media_type,
            "Content-Disposition": content_disposition_header(True, exporting.file_name(analysis, form)),
            "Cache-Control": "no-store",
        }
        pieces = iter(()) if request.method == "HEAD" else exporting.exported(analysis, form)
        # What fails before the first byte can still be answered as a problem. After it, the exception reaches the
        # server, which closes the connection without the last chunk: no client takes the file for a whole one.
        first = next(pieces, b"")
        return StreamingHttpResponse(_sent(chain([first], pieces)), headers=headers)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        """The URL says what comes; `Accept: text/csv` is no reason to refuse it."""
        return super().perform_content_negotiation(request, force=True)


async def _sent(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each piece is made in the request's own thread when the one before it is on its way."""
    make = sync_to_async(next)
    while (piece := await make(pieces, None)) is not None:
        yield piece
