"""Whole results as files."""

import uuid
from collections.abc import AsyncIterator, Iterator
from itertools import chain
from typing import Any

from asgiref.sync import sync_to_async
from django.http import Http404, StreamingHttpResponse
from django.utils.http import content_disposition_header
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.views import APIView

from backend.accounts.scopes import Scope
from backend.config.openapi import Answer, documented
from backend.videos import exporting, selectors
from backend.videos.errors import AnalysisNotSucceeded, ExportFormatUnknown, ExportUnavailable, TooManyExports
from contract.statuses import AnalysisStatus
from exports.formats import FORMATS


class AnalysisExport(APIView):
    @documented(
        "export_analysis",
        scope=Scope.RESULTS_READ,
        summary="Download the results as a file",
        tag="Results",
        parameters=(
            OpenApiParameter(
                "export_format", str, OpenApiParameter.PATH, enum=list(FORMATS), description="The format."
            ),
        ),
        answers={
            200: Answer(
                description="The file, made while it is sent. One that breaks off has no proper end.",
                schema=OpenApiTypes.BINARY,
                media_types=[form.media_type.partition(";")[0] for form in FORMATS.values()],
                headers={"Content-Disposition": "The file's name."},
            )
        },
        refusals=(ExportFormatUnknown, AnalysisNotSucceeded, ExportUnavailable, TooManyExports),
    )
    def get(self, request: Request, analysis_id: uuid.UUID, export_format: str) -> StreamingHttpResponse:
        """All detections of an analysis that has succeeded; docs/exports.md says what each format holds."""
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
