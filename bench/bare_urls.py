"""A view of REST framework without authentication, permissions, throttling or database."""

import json
import os

from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

DOCUMENT = json.loads(os.environ.get("BARE_DOCUMENT", "{}"))


class Bare(APIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()

    def get(self, request: Request) -> Response:
        return Response(DOCUMENT)


urlpatterns = [path("bare", Bare.as_view())]
