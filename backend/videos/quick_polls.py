"""Polls by programs, most of all requests, answered with one statement and without REST framework.

Only those that nothing is to be said against: the same rules are asked here, one after the other. All else is left
to REST framework as if nobody had looked at it before, so that refusals are made in one place.
"""

import uuid

from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest, HttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from backend.accounts import throttling
from backend.accounts.authentication import given_key
from backend.accounts.permissions import endpoint_of, opens
from backend.accounts.services import use_api_key_for
from backend.videos.polling import polled
from backend.videos.representations import analysis_document
from backend.videos.selectors import POLLED_BY_KEY

_PLAIN_JSON = frozenset({"*/*", JSONRenderer.media_type})


def quick_answer(request: HttpRequest, view: APIView, analysis_id: uuid.UUID) -> HttpResponse | None:
    """The answer, or None where REST framework is to give it: another method or form, no key, or a refusal.

    A request that comes by the lane (`poll_lane`) has its rows in `found`, and may not ask the database for more.

    Raises Django's database errors.
    """
    key = given_key(request) if request.method == "GET" else None
    if key is None or request.META.get("HTTP_ACCEPT", "*/*") not in _PLAIN_JSON:
        return None
    try:
        found = use_api_key_for(key, getattr(request, "found", POLLED_BY_KEY.first), analysis_id)
        if found is None or not opens(found[0], endpoint_of(view, "GET")):
            return None
        api_key, analysis = found
        if throttling.count(request, api_key.user).is_exceeded:
            return None
    except SynchronousOnlyOperation:  # the lane's: the key's use is to be noted, or more requests to be counted
        return None
    return polled(request, analysis, lambda: _rendered(analysis_document(analysis)))


class LeftToThread(HttpResponse):
    """Says to the lane of polls that it may not answer; no client gets it."""


def _rendered(document: dict[str, object]) -> HttpResponse:
    return HttpResponse(JSONRenderer().render(document), content_type=JSONRenderer.media_type)
