from datetime import datetime
from typing import Any

from django.http import Http404
from django.utils import timezone
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts import schemas, services
from backend.accounts.errors import TooManyApiKeys
from backend.accounts.models import ApiKey
from backend.accounts.scopes import ALL
from backend.config.openapi import Answer, documented
from backend.config.serializers import StrictSerializer


class ApiKeyList(APIView):
    class Input(StrictSerializer):
        name = serializers.CharField(max_length=100)
        scopes = serializers.ListField(
            child=serializers.ChoiceField(ALL), min_length=1, help_text="Each it needs."
        )
        expires_at = serializers.DateTimeField(default=None, allow_null=True, help_text="null: never.")

        def validate_scopes(self, scopes: list[str]) -> list[str]:
            return list(dict.fromkeys(scopes))

        def validate_expires_at(self, expires_at: datetime | None) -> datetime | None:
            if expires_at is not None and expires_at <= timezone.now():
                raise serializers.ValidationError("It must lie ahead.")
            return expires_at

    @documented(
        "list_api_keys",
        scope=None,
        summary="List your API keys",
        tag="API keys",
        answers={200: Answer(description="Newest first.", schema=schemas.ApiKeyPage, example=schemas.PAGE)},
    )
    def get(self, request: Request) -> Response:
        """All keys that are good, and the newest of those that were revoked or have expired, at most 200 in all.

        The secret part of a key is never shown again.
        """
        keys = services.api_keys_of(request.user)
        return Response({"results": [_document(key) for key in keys], "next": None})

    @documented(
        "create_api_key",
        scope=None,
        summary="Make an API key",
        tag="API keys",
        body=Input,
        body_example={"name": "nightly import", "scopes": ["videos:write", "analyses:write"]},
        answers={201: Answer(description="The key.", schema=schemas.NewApiKey, example=schemas.NEW)},
        refusals=(TooManyApiKeys,),
    )
    def post(self, request: Request) -> Response:
        """Only in a signed-in browser: an API key makes no API keys."""
        given = self.Input.read(request)
        made = services.create_api_key(user=request.user, **given)
        return Response({**_document(made.row), "key": made.key}, status=status.HTTP_201_CREATED)


class ApiKeyDetail(APIView):
    @documented(
        "revoke_api_key",
        scope=None,
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
        "scopes": key.scopes,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
