"""The API's description for programs, and for people in Swagger UI, which comes from our own static files."""

import json
from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

MEDIA_TYPE = "application/vnd.oai.openapi+json"


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    return HttpResponse(_schema(), content_type=MEDIA_TYPE)


@require_safe
def swagger_ui(request: HttpRequest) -> HttpResponse:
    return render(request, "api_docs.html")


@lru_cache(maxsize=1)
def _schema() -> bytes:
    # The same for everybody, and anybody may ask: it is made once.
    return json.dumps(SchemaGenerator().get_schema(request=None, public=True)).encode()
