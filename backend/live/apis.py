"""Who may listen to what. `streaming` sends it."""

import uuid

from django.http import Http404, HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from backend.accounts.scopes import Scope
from backend.config.openapi import Answer, documented
from backend.config.serializers import StrictQuery
from backend.live.errors import TooManyStreams
from backend.live.reading import Position, missed
from backend.live.streaming import CONTENT_TYPE, Wanted
from backend.videos import selectors
from backend.videos.errors import RequestInvalid
from backend.videos.representations import is_over

LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    {"type": "string", "pattern": "^[0-9]{1,18}-[0-9]{1,18}$"},
    OpenApiParameter.HEADER,
    description="The id of the last event that you have: what has happened since comes first. Browsers send it.",
)
STREAM = Answer(
    description="Server-sent events, until the stream ends.",
    schema={"type": "string"},
    media_types=(CONTENT_TYPE,),
)


class EventStream(BaseRenderer):
    """Says to REST framework that `Accept: text/event-stream` can be answered. It renders nothing: streams and
    problems are responses of Django's own.
    """

    media_type = CONTENT_TYPE
    format = "event-stream"


class Live(APIView):
    renderer_classes = [JSONRenderer, EventStream]


class AnalysisLive(Live):
    @documented(
        "watch_analysis",
        summary="Watch an analysis",
        tag="Analyses",
        scope=Scope.ANALYSES_READ,
        query=StrictQuery,
        parameters=(LAST_EVENT_ID,),
        answers={
            200: STREAM,
            204: Answer(description="It is over, and nothing has happened after that event. Do not ask again."),
        },
        refusals=(TooManyStreams,),
    )
    def get(self, request: Request, analysis_id: uuid.UUID) -> HttpResponse:
        """Server-sent events of one analysis, from now until it is over.

        `analysis` says how it stands, at once and whenever that changes, four times a second at most. `transition`
        is an entry of its history and has an id. `over` is the last event: then close the stream.
        """
        StrictQuery.read(request)
        analysis = selectors.analysis_of(request.user, analysis_id)
        if analysis is None:
            raise Http404
        after = last_event_id(request)
        if after is not None and is_over(analysis):
            behind = missed(owner_id=analysis.owner_id, analysis_id=analysis.pk, after=after)
            if not behind.exists():
                return HttpResponse(status=204)
        return stream(request, analysis_id=str(analysis.pk), after=after)


class AnalysesLive(Live):
    @documented(
        "watch_analyses",
        summary="Watch all your analyses",
        tag="Analyses",
        scope=Scope.ANALYSES_READ,
        query=StrictQuery,
        parameters=(LAST_EVENT_ID,),
        answers={200: STREAM},
        refusals=(TooManyStreams,),
    )
    def get(self, request: Request) -> HttpResponse:
        """Server-sent events of all your analyses, also of those that are yet to be asked for.

        As for one analysis, beginning with how each stands that is not over; the stream does not end with any of
        them. `reset` says that more has happened since your last event than is kept for streams: read the list.
        """
        StrictQuery.read(request)
        return stream(request, analysis_id=None, after=last_event_id(request))


def last_event_id(request: Request) -> Position | None:
    """Raises RequestInvalid."""
    text = request.headers.get("Last-Event-ID", "")
    try:
        return Position.from_text(text) if text else None
    except ValueError:
        raise RequestInvalid({"Last-Event-ID": ["Send the id of the last event as it was given."]}) from None


def stream(request: Request, *, analysis_id: str | None, after: Position | None) -> HttpResponse:
    wanted = Wanted(owner_id=request.user.pk, analysis_id=analysis_id, after=str(after) if after else None)
    return wanted.response()
