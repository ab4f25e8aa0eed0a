from typing import Any

from django.http import Http404
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from backend.accounts import services
from backend.accounts.models import ApiKey
from backend.accounts.permissions import SignedInBrowser
from backend.config.serializers import StrictSerializer


class ApiKeyList(APIView):
    permission_classes = [SignedInBrowser]

    class Input(StrictSerializer):
        name = serializers.CharField(max_length=100)

    def get(self, request: Request) -> Response:
        keys = ApiKey.objects.filter(user=request.user).order_by("-created_at", "-id")
        return Response({"results": [_document(key) for key in keys], "next": None})

    def post(self, request: Request) -> Response:
        given = self.Input.read(request)
        made = services.create_api_key(user=request.user, name=given["name"])
        return Response({**_document(made.row), "key": made.key}, status=status.HTTP_201_CREATED)


class ApiKeyDetail(APIView):
    permission_classes = [SignedInBrowser]

    def delete(self, request: Request, api_key_id: int) -> Response:
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
