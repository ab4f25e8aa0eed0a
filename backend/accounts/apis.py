from typing import Any

from django.http import Http404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts import schemas, services
from backend.accounts.models import ApiKey
from backend.accounts.permissions import SignedInBrowser
from backend.config.openapi import Answer, documented
from backend.config.serializers import StrictSerializer


class ApiKeyList(APIView):
    permission_classes = [SignedInBrowser]

    class Input(StrictSerializer):
        name = serializers.CharField(max_length=100)

    @documented(
        "list_api_keys",
        summary="List your API keys",
        tag="API keys",
        answers={
            200: Answer(description="All keys, newest first.", schema=schemas.ApiKeyPage, example=schemas.PAGE)
        },
    )
    def get(self, request: Request) -> Response:
        """Your keys, also those that were revoked. The secret part of a key is never shown again."""
        keys = ApiKey.objects.filter(user=request.user).order_by("-created_at", "-id")
        return Response({"results": [_document(key) for key in keys], "next": None})

    @documented(
        "create_api_key",
        summary="Make an API key",
        tag="API keys",
        body=Input,
        body_example={"name": "nightly import"},
        answers={201: Answer(description="The key.", schema=schemas.NewApiKey, example=schemas.NEW)},
    )
    def post(self, request: Request) -> Response:
        """Only in a signed-in browser: an API key makes no API keys."""
        given = self.Input.read(request)
        made = services.create_api_key(user=request.user, name=given["name"])
        return Response({**_document(made.row), "key": made.key}, status=status.HTTP_201_CREATED)


class ApiKeyDetail(APIView):
    permission_classes = [SignedInBrowser]

    @documented(
        "revoke_api_key",
        summary="Revoke an API key",
        tag="API keys",
        answers={204: Answer(description="The key is refused from now on.")},
    )
    def delete(self, request: Request, api_key_id: int) -> Response:
        """Ends a key for good. Doing it twice is harmless."""
        if not services.revoke_api_key(user=request.user, api_key_id=api_key_id):
            raise Http404
        return Response(status=status.HTTP_204_NO_CONTENT)


def _document(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.pk,
        "name": key.name,
        "prefix": f"fb_{key.prefix}",
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }
