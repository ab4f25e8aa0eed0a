"""Analyses over HTTP. Reads go through selectors, writes through services."""

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.scopes import Scope
from backend.config.links import link
from backend.config.openapi import Answer, documented
from backend.config.serializers import StrictSerializer
from backend.plans.errors import (
    CreditsInsufficient,
    MediaNotAllowed,
    QuoteExpired,
    QuoteInvalid,
    QuoteMismatch,
    TooManyAnalyses,
    VideoTooLong,
)
from backend.videos import errors, examples, schemas, selectors, services
from backend.videos.cancelling import cancel_analysis
from backend.videos.catalogue import catalogue
from backend.videos.deleting import delete_analysis
from backend.videos.estimates import with_usual_times
from backend.videos.filters import analyses_where
from backend.videos.models import Analysis
from backend.videos.polling import polled, with_poll_headers
from backend.videos.queries import AnalysisQuery
from backend.videos.quick_polls import LeftToThread, quick_answer
from backend.videos.representations import analysis_document

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="A word of the client's own. The same request with the same key, within 24 hours, gets the "
    "analysis that the first one made.",
)
ACCEPTED = Answer(
    description="The analysis, which is queued.",
    schema=schemas.Analysis,
    example=examples.QUEUED,
    headers={
        "Location": "The path of the analysis.",
        "Retry-After": "Seconds after which to look again.",
        "Idempotency-Replayed": "`true` where an earlier request with this key had made it.",
    },
)
PLAN_REFUSALS = (MediaNotAllowed, VideoTooLong, TooManyAnalyses, CreditsInsufficient)
POLLED = {
    "ETag": "Of this answer, for `If-None-Match`.",
    "Retry-After": "Seconds after which to look again, unless it is over.",
}
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The `ETag` of the answer that you have: where nothing has changed since, the answer is 304.",
)


@extend_schema_field(schemas.Options)
class OptionsField(serializers.DictField):
    """Checked by the contract, which knows every option's limits."""


class AnalysisList(APIView):
    class Input(StrictSerializer):
        video = serializers.UUIDField()
        model = serializers.CharField(max_length=200, default=None, allow_null=True)
        options = OptionsField(default=dict)
        quote = serializers.CharField(
            max_length=2000, default=None, allow_null=True, help_text="Of POST /api/quotes, for the same request."
        )

    @documented(
        "list_analyses",
        scope=Scope.ANALYSES_READ,
        summary="List your analyses",
        tag="Analyses",
        query=AnalysisQuery,
        answers={
            200: Answer(
                description="A page of analyses.",
                schema=schemas.AnalysisPage,
                example=examples.page(examples.RUNNING),
            )
        },
    )
    def get(self, request: Request) -> Response:
        """Your analyses, by default the newest first."""
        query = AnalysisQuery.read(request)
        analyses = analyses_where(with_usual_times(selectors.analyses_of(request.user)), query)
        page = AnalysisQuery.ORDERS[query["order"]].page(request, analyses, query)
        return Response(page.document(analysis_document))

    @documented(
        "request_analysis",
        scope=Scope.ANALYSES_WRITE,
        summary="Ask for an analysis",
        tag="Analyses",
        body=Input,
        body_example=examples.REQUEST,
        parameters=(IDEMPOTENCY_KEY,),
        answers={202: ACCEPTED},
        refusals=(
            errors.VideoNotFound,
            errors.VideoNotUploaded,
            errors.VideoNotReady,
            errors.VideoRefused,
            errors.IdempotencyKeyReused,
            *PLAN_REFUSALS,
            QuoteInvalid,
            QuoteExpired,
            QuoteMismatch,
        ),
    )
    def post(self, request: Request) -> Response:
        """Queues an analysis of an uploaded video.

        The answer comes at once; look at the analysis for its progress. Without a model the first of the list of
        models is taken.
        """
        given = self.Input.read(request)
        requested = services.request_analysis(
            owner=request.user,
            video_id=given["video"],
            model=given["model"],
            options=given["options"],
            quote=given["quote"],
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        return accepted(requested)


class AnalysisDetail(APIView):
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer = quick_answer(request, self, **kwargs)
        if answer is None:
            return LeftToThread() if hasattr(request, "found") else super().dispatch(request, *args, **kwargs)
        answer["Allow"] = ", ".join(self.allowed_methods)
        return answer

    @documented(
        "get_analysis",
        scope=Scope.ANALYSES_READ,
        summary="Look at an analysis",
        tag="Analyses",
        answers={
            200: Answer(
                description="The analysis as it is now.",
                schema=schemas.Analysis,
                example=examples.RUNNING,
                headers=POLLED,
            ),
            304: Answer(description="Nothing has changed since the answer with this `ETag`.", headers=POLLED),
        },
        parameters=(IF_NONE_MATCH,),
    )
    def get(self, request: Request, analysis_id: uuid.UUID) -> Response:
        """Its status, progress, why it waits, and when it is over its summary or what went wrong."""
        analysis = selectors.polled_analysis_of(request.user, analysis_id)
        if analysis is None:
            raise Http404
        return polled(request, analysis, lambda: Response(analysis_document(analysis)))

    @documented(
        "delete_analysis",
        scope=Scope.ANALYSES_WRITE,
        summary="Delete an analysis",
        tag="Analyses",
        answers={204: Answer(description="It is gone.")},
        refusals=(errors.AnalysisNotOver,),
    )
    def delete(self, request: Request, analysis_id: uuid.UUID) -> Response:
        """Removes an analysis that is over, with everything it found and every file it made. The video stays."""
        delete_analysis(analysis=analysis_asked_for(request, analysis_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class AnalysisCancel(APIView):
    @documented(
        "cancel_analysis",
        scope=Scope.ANALYSES_WRITE,
        summary="Cancel an analysis",
        tag="Analyses",
        answers={
            200: Answer(
                description="The analysis, cancelled.", schema=schemas.Analysis, example=examples.CANCELLED
            )
        },
        refusals=(errors.AnalysisOver,),
    )
    def post(self, request: Request, analysis_id: uuid.UUID) -> Response:
        """Ends an analysis that is not over, also its job on the machines. Doing it twice is harmless."""
        return answer_of(cancel_analysis(analysis=analysis_asked_for(request, analysis_id)))


class AnalysisRetry(APIView):
    @documented(
        "retry_analysis",
        scope=Scope.ANALYSES_WRITE,
        summary="Try an analysis again",
        tag="Analyses",
        parameters=(IDEMPOTENCY_KEY,),
        answers={202: ACCEPTED},
        refusals=(
            errors.RequestInvalid,
            errors.VideoNotFound,
            errors.AnalysisNotRetryable,
            errors.IdempotencyKeyReused,
            *PLAN_REFUSALS,
        ),
    )
    def post(self, request: Request, analysis_id: uuid.UUID) -> Response:
        """Makes a new analysis with the video, model and options of one that failed or was cancelled.

        Where we have done so for you already and it is under way, it is that one, with `Idempotency-Replayed`.
        """
        requested = services.retry_analysis(
            owner=request.user,
            analysis=analysis_asked_for(request, analysis_id),
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        return accepted(requested)


class ModelList(APIView):
    @documented(
        "list_models",
        scope=Scope.ANALYSES_READ,
        summary="List the models",
        tag="Models",
        answers={
            200: Answer(description="All models.", schema=schemas.ModelPage, example=examples.page(examples.MODEL))
        },
    )
    def get(self, request: Request) -> Response:
        """The models that an analysis can be asked with; the first is the default."""
        models: list[dict[str, Any]] = [
            {
                "name": model.name,
                "task": model.task,
                "classes": model.classes,
                "input_size": model.input_size,
            }
            for model in catalogue().models()
        ]
        return Response({"results": models, "next": None})


def answer_of(analysis: Analysis, **kwargs: Any) -> Response:
    return with_poll_headers(Response(analysis_document(analysis), **kwargs), analysis)


def accepted(requested: services.RequestedAnalysis) -> Response:
    answer = answer_of(requested.analysis, status=status.HTTP_202_ACCEPTED)
    answer["Location"] = link("api-analysis", requested.analysis.pk)
    if requested.replayed:
        answer["Idempotency-Replayed"] = "true"
    return answer


def analysis_asked_for(request: Request, analysis_id: uuid.UUID) -> Analysis:
    analysis = selectors.analysis_of(request.user, analysis_id)
    if analysis is None:
        raise Http404
    return analysis
