"""The steps of an upload over HTTP, from its first URL to its end."""

import uuid
from typing import Any

from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts.scopes import Scope
from backend.config.openapi import Answer, documented, page_of
from backend.config.serializers import StrictSerializer
from backend.gateways.s3 import PARTS_LISTED
from backend.gateways.stored import StoredPart
from backend.videos import errors, examples, schemas, uploads
from backend.videos.finishing import finish_upload
from backend.videos.queries import PartQuery
from backend.videos.representations import video_document
from backend.videos.video_apis import POLLED, ChecksumField, answer_of, signed_document
from contract.uploads import PARTS_AT_MOST

UNFINISHED = (errors.VideoNotFound, errors.UploadOver, errors.UploadAborted)


class VideoSign(APIView):
    class Input(StrictSerializer):
        class Part(StrictSerializer):
            number = serializers.IntegerField(min_value=1, max_value=PARTS_AT_MOST)
            checksum = ChecksumField(required=False)

        parts = Part(
            many=True, required=False, max_length=uploads.SIGNED_AT_ONCE, help_text="None for a file in one piece."
        )

    @documented(
        "sign_upload",
        scope=Scope.VIDEOS_WRITE,
        summary="Sign an upload, or parts of it",
        tag="Videos",
        body=Input,
        body_example=examples.SIGN_PARTS,
        answers={200: Answer(description="The URLs.", schema=schemas.Signed, example=examples.SIGNED_PARTS)},
        refusals=(*UNFINISHED, errors.UploadNotInParts),
    )
    def post(self, request: Request, video_id: uuid.UUID) -> Response:
        """Gives URLs for parts of a file, or a new one for a file in one piece, each good for an hour.

        A part may be signed and sent again as often as it takes.
        """
        asked = self.Input.read(request).get("parts")
        if not asked:
            return Response(
                {"upload": signed_document(uploads.sign_upload(owner=request.user, video_id=video_id))}
            )
        checksums = {part["number"]: part.get("checksum", "") for part in asked}
        signed = uploads.sign_parts(owner=request.user, video_id=video_id, checksums=checksums)
        return Response(
            {"parts": [{"number": number, **signed_document(part)} for number, part in signed.items()]}
        )


class VideoParts(APIView):
    @documented(
        "list_parts",
        scope=Scope.VIDEOS_READ,
        summary="List the parts that have arrived",
        tag="Videos",
        query=PartQuery,
        answers={
            200: Answer(
                description="Parts in the order of their numbers.",
                schema=page_of(schemas.StoredPart),
                example=examples.page(examples.STORED_PART),
            )
        },
        refusals=(*UNFINISHED, errors.UploadNotInParts),
    )
    def get(self, request: Request, video_id: uuid.UUID) -> Response:
        """What the storage has of an upload in parts, so that only the others need be sent."""
        after = PartQuery.read(request)["after"]
        parts = uploads.parts_of(owner=request.user, video_id=video_id, after=after)
        link = f"{reverse('api-video-parts', args=[video_id])}?after={parts[-1].number}" if parts else None
        more = len(parts) == PARTS_LISTED
        return Response({"results": [_part(part) for part in parts], "next": link if more else None})


class VideoFinish(APIView):
    class Input(StrictSerializer):
        checksum = ChecksumField(required=False, help_text="Of the checksums of all parts, in their order.")

    @documented(
        "finish_upload",
        scope=Scope.VIDEOS_WRITE,
        summary="Finish an upload",
        tag="Videos",
        body=Input,
        body_example=examples.FINISH_UPLOAD,
        answers={
            200: Answer(description="The video.", schema=schemas.Video, example=examples.VIDEO),
            202: Answer(
                description="The file is being put together, or looked at.",
                schema=schemas.Video,
                example=examples.PROBING,
                headers=POLLED,
            ),
        },
        refusals=(
            errors.VideoNotFound,
            errors.UploadMissing,
            errors.UploadIncomplete,
            errors.UploadChecksumMismatch,
            errors.UploadAborted,
        ),
    )
    def post(self, request: Request, video_id: uuid.UUID) -> Response:
        """Says that the file has been sent; its size and checksum are compared with what was declared.

        Then the parts, if any, are put together, and the file is looked at, mostly within a second or two; ask for
        the video until it is known what it is. Nothing waits for that here, and doing it twice is harmless: what
        got no answer, or 503, may simply be sent again.
        """
        checksum = self.Input.read(request).get("checksum", "")
        return answer_of(finish_upload(owner=request.user, video_id=video_id, checksum=checksum))


class VideoAbort(APIView):
    @documented(
        "abort_upload",
        scope=Scope.VIDEOS_WRITE,
        summary="Abort an upload",
        tag="Videos",
        answers={200: Answer(description="The video, aborted.", schema=schemas.Video, example=examples.ABORTED)},
        refusals=(errors.VideoNotFound, errors.UploadOver),
    )
    def post(self, request: Request, video_id: uuid.UUID) -> Response:
        """Gives up an upload; what has arrived is removed. Doing it twice is harmless."""
        return Response(video_document(uploads.abort_upload(owner=request.user, video_id=video_id)))


def _part(part: StoredPart) -> dict[str, Any]:
    return {
        "number": part.number,
        "size_bytes": part.size_bytes,
        "etag": part.etag,
        "checksum": next(iter(part.checksums.values()), None),
    }
