"""Videos over HTTP: how a file gets into S3, and what was found in it."""

import re
import uuid
from typing import Any

from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.scopes import Scope
from backend.config.openapi import Answer, documented
from backend.config.serializers import StrictSerializer
from backend.gateways.stored import CHECKSUM_BYTES, PresignedUpload, is_checksum
from backend.plans.errors import FileTooLarge, StorageFull
from backend.videos import errors, examples, schemas, selectors, uploads
from backend.videos.deleting import delete_video
from backend.videos.filters import videos_where
from backend.videos.models import Video, VideoStatus
from backend.videos.queries import VideoQuery
from backend.videos.representations import video_document
from contract.uploads import OBJECT_BYTES_AT_MOST, PUT_BYTES_AT_MOST

UNKNOWN_TYPE = "application/octet-stream"
CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w.+-]+=[\w.+\", -]+)*", re.ASCII)
POLL_SECONDS = 1
START_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    OpenApiParameter.HEADER,
    description="A word of the client's own. The same request with the same key gets the video that the first one "
    "made, with a new URL, as long as that video is there.",
)
POLLED = {"Retry-After": "Seconds after which to look again."}


class ChecksumField(serializers.CharField):
    """Base64 of as many bytes as one of the algorithms gives."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=64, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text: str = super().to_internal_value(data)
        if not any(is_checksum(text, algorithm) for algorithm in CHECKSUM_BYTES):
            raise serializers.ValidationError("It must be a SHA256 or CRC32 in base64.")
        return text


class VideoList(APIView):
    class Input(StrictSerializer):
        filename = serializers.CharField(max_length=255)
        size_bytes = serializers.IntegerField(min_value=0, max_value=OBJECT_BYTES_AT_MOST)
        content_type = serializers.CharField(max_length=127, default=UNKNOWN_TYPE, allow_blank=True)
        multipart = serializers.BooleanField(default=False, help_text="Send it in parts.")
        checksum_algorithm = serializers.ChoiceField(
            choices=sorted(CHECKSUM_BYTES), required=False, help_text="The storage checks what it receives."
        )
        checksum = ChecksumField(required=False, help_text="Of a file in one piece.")

        def validate_filename(self, filename: str) -> str:
            if not filename.isprintable():
                raise serializers.ValidationError("It must not hold control characters.")
            return filename

        def validate_content_type(self, content_type: str) -> str:
            if content_type and not CONTENT_TYPE.fullmatch(content_type):
                raise serializers.ValidationError("It must be a media type such as video/mp4.")
            return content_type or UNKNOWN_TYPE

        def validate(self, given: dict[str, Any]) -> dict[str, Any]:
            algorithm, checksum = given.get("checksum_algorithm", ""), given.get("checksum", "")
            if given["multipart"]:
                if checksum:
                    raise serializers.ValidationError({"checksum": "State it for each part, when that is signed."})
                return given
            if given["size_bytes"] > PUT_BYTES_AT_MOST:
                raise serializers.ValidationError({"multipart": "A file of more than 5 GiB is sent in parts."})
            if bool(checksum) != bool(algorithm):
                raise serializers.ValidationError({"checksum": "It and its algorithm are stated together."})
            if checksum and not is_checksum(checksum, algorithm):
                raise serializers.ValidationError({"checksum": f"It is no {algorithm}."})
            return given

    @documented(
        "list_videos",
        scope=Scope.VIDEOS_READ,
        summary="List your videos",
        tag="Videos",
        query=VideoQuery,
        answers={
            200: Answer(
                description="A page of videos.", schema=schemas.VideoPage, example=examples.page(examples.VIDEO)
            )
        },
    )
    def get(self, request: Request) -> Response:
        """Your videos, by default the newest first."""
        query = VideoQuery.read(request)
        videos = videos_where(selectors.videos_of(request.user), query)
        page = VideoQuery.ORDERS[query["order"]].page(request, videos, query)
        return Response(page.document(video_document))

    @documented(
        "start_upload",
        scope=Scope.VIDEOS_WRITE,
        summary="Start an upload",
        tag="Videos",
        body=Input,
        body_example=examples.START_UPLOAD,
        parameters=(START_KEY,),
        answers={
            201: Answer(
                description="The video, and where to send its file.",
                schema=schemas.StartedVideo,
                example=examples.STARTED_VIDEO,
                headers={
                    "Location": "The path of the video.",
                    "Idempotency-Replayed": "`true` where an earlier request with this key had made it.",
                },
            )
        },
        refusals=(errors.FileEmpty, FileTooLarge, StorageFull, errors.IdempotencyKeyReused),
    )
    def post(self, request: Request) -> Response:
        """Makes a video and gives a presigned URL for its file, or says into which parts to cut it.

        Send the file with the given method and headers, then finish the upload. The bytes go straight to the
        storage, never through this API.
        """
        started = uploads.start_upload(
            owner=request.user,
            idempotency_key=request.headers.get("Idempotency-Key"),
            **self.Input.read(request),
        )
        headers = {"Location": reverse("api-video", args=[started.video.pk])}
        if started.replayed:
            headers["Idempotency-Replayed"] = "true"
        upload = {"upload": signed_document(started.upload)} if started.upload else {}
        return Response(
            {**video_document(started.video), **upload}, status=status.HTTP_201_CREATED, headers=headers
        )


class VideoDetail(APIView):
    @documented(
        "get_video",
        scope=Scope.VIDEOS_READ,
        summary="Look at a video",
        tag="Videos",
        answers={
            200: Answer(description="The video.", schema=schemas.Video, example=examples.VIDEO),
            202: Answer(
                description="The file is being put together, or looked at.",
                schema=schemas.Video,
                example=examples.PROBING,
                headers=POLLED,
            ),
        },
    )
    def get(self, request: Request, video_id: uuid.UUID) -> Response:
        """One of your videos: the state of its upload, and what was found in it."""
        video = selectors.video_of(request.user, video_id)
        if video is None:
            raise Http404
        return answer_of(video)

    @documented(
        "delete_video",
        scope=Scope.VIDEOS_WRITE,
        summary="Delete a video",
        tag="Videos",
        answers={204: Answer(description="It is gone.")},
        refusals=(errors.VideoNotFound, errors.VideoInUse),
    )
    def delete(self, request: Request, video_id: uuid.UUID) -> Response:
        """Removes a video with all its analyses, everything they found and every file they made.

        Its credits and ledger entries stay. An upload that is not finished is given up.
        """
        video = selectors.video_of(request.user, video_id)
        if video is None:
            raise Http404
        delete_video(video=video)
        return Response(status=status.HTTP_204_NO_CONTENT)


def answer_of(video: Video) -> Response:
    """202 while it is not yet known what was uploaded."""
    if video.status != VideoStatus.PROBING:
        return Response(video_document(video))
    return Response(
        video_document(video), status=status.HTTP_202_ACCEPTED, headers={"Retry-After": str(POLL_SECONDS)}
    )


def signed_document(upload: PresignedUpload) -> dict[str, Any]:
    return {
        "method": upload.method,
        "url": upload.url,
        "headers": upload.headers,
        "expires_at": upload.expires_at,
    }
