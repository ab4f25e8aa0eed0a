"""Videos and analyses over HTTP. Reads go through selectors, writes through services."""

import re
import uuid
from typing import Any

from django.conf import settings
from django.http import Http404
from django.urls import reverse
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.config.serializers import StrictSerializer
from backend.videos import selectors, services
from backend.videos.cancelling import cancel_analysis
from backend.videos.catalogue import catalogue
from backend.videos.deleting import delete_analysis
from backend.videos.models import Analysis
from backend.videos.pagination import Keyset
from backend.videos.representations import analysis_document, is_over, video_document
from contract.statuses import AnalysisStatus

NEWEST_FIRST = Keyset(columns=selectors.NEWEST, default_size=50, most=200)
UNKNOWN_TYPE = "application/octet-stream"
CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w.+-]+=[\w.+\", -]+)*", re.ASCII)

# How soon a client may ask again: at once is pointless, and a machine takes longer to come than a frame.
POLL_SECONDS = {AnalysisStatus.QUEUED: 1, AnalysisStatus.SUBMITTED: 2, AnalysisStatus.RUNNING: 1}


class VideoList(APIView):
    class Input(StrictSerializer):
        filename = serializers.CharField(max_length=255)
        size_bytes = serializers.IntegerField(min_value=0)
        content_type = serializers.CharField(max_length=127, default=UNKNOWN_TYPE, allow_blank=True)

        def validate_filename(self, filename: str) -> str:
            if not filename.isprintable():
                raise serializers.ValidationError("It must not hold control characters.")
            return filename

        def validate_size_bytes(self, size_bytes: int) -> int:
            if size_bytes > settings.MAX_UPLOAD_BYTES:
                most = settings.MAX_UPLOAD_BYTES / 1024**3
                raise serializers.ValidationError(f"A file may have at most {most:g} GiB.")
            return size_bytes

        def validate_content_type(self, content_type: str) -> str:
            if content_type and not CONTENT_TYPE.fullmatch(content_type):
                raise serializers.ValidationError("It must be a media type such as video/mp4.")
            return content_type or UNKNOWN_TYPE

    def get(self, request: Request) -> Response:
        page = NEWEST_FIRST.page(request, selectors.videos_of(request.user))
        return Response(page.document(video_document))

    def post(self, request: Request) -> Response:
        started = services.start_upload(owner=request.user, **self.Input.read(request))
        upload = started.upload
        return Response(
            {
                **video_document(started.video),
                "upload": {
                    "method": upload.method,
                    "url": upload.url,
                    "headers": upload.headers,
                    "expires_at": upload.expires_at,
                },
            },
            status=status.HTTP_201_CREATED,
            headers={"Location": reverse("api-video", args=[started.video.pk])},
        )


class VideoDetail(APIView):
    def get(self, request: Request, video_id: uuid.UUID) -> Response:
        video = selectors.video_of(request.user, video_id)
        if video is None:
            raise Http404
        return Response(video_document(video))


class VideoFinish(APIView):
    def post(self, request: Request, video_id: uuid.UUID) -> Response:
        return Response(video_document(services.finish_upload(owner=request.user, video_id=video_id)))


class AnalysisList(APIView):
    class Input(StrictSerializer):
        video = serializers.UUIDField()
        model = serializers.CharField(max_length=200, default=None, allow_null=True)
        options = serializers.DictField(default=dict)

    def get(self, request: Request) -> Response:
        analyses = selectors.analyses_of(request.user)
        if video := request.query_params.get("video"):
            analyses = analyses.filter(video_id=_uuid(video))
        return Response(NEWEST_FIRST.page(request, analyses).document(analysis_document))

    def post(self, request: Request) -> Response:
        given = self.Input.read(request)
        requested = services.request_analysis(
            owner=request.user,
            video_id=given["video"],
            model=given["model"],
            options=given["options"],
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        return accepted(requested)


class AnalysisDetail(APIView):
    def get(self, request: Request, analysis_id: uuid.UUID) -> Response:
        return answer_of(_analysis(request, analysis_id))

    def delete(self, request: Request, analysis_id: uuid.UUID) -> Response:
        delete_analysis(analysis=_analysis(request, analysis_id))
        return Response(status=status.HTTP_204_NO_CONTENT)


class AnalysisCancel(APIView):
    def post(self, request: Request, analysis_id: uuid.UUID) -> Response:
        return answer_of(cancel_analysis(analysis=_analysis(request, analysis_id)))


class AnalysisRetry(APIView):
    def post(self, request: Request, analysis_id: uuid.UUID) -> Response:
        requested = services.retry_analysis(
            owner=request.user,
            analysis=_analysis(request, analysis_id),
            idempotency_key=request.headers.get("Idempotency-Key"),
        )
        return accepted(requested)


class ModelList(APIView):
    def get(self, request: Request) -> Response:
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
    answer = Response(analysis_document(analysis), **kwargs)
    answer["Cache-Control"] = "no-store"
    if not is_over(analysis):
        answer["Retry-After"] = str(POLL_SECONDS[AnalysisStatus(analysis.status)])
    return answer


def accepted(requested: services.RequestedAnalysis) -> Response:
    answer = answer_of(requested.analysis, status=status.HTTP_202_ACCEPTED)
    answer["Location"] = reverse("api-analysis", args=[requested.analysis.pk])
    if requested.replayed:
        answer["Idempotency-Replayed"] = "true"
    return answer


def _analysis(request: Request, analysis_id: uuid.UUID) -> Analysis:
    analysis = selectors.analysis_of(request.user, analysis_id)
    if analysis is None:
        raise Http404
    return analysis


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise serializers.ValidationError({"video": ["It must be the id of a video."]}) from None
