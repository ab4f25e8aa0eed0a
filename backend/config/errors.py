"""What is answered when no view could: problem details under /api/, a plain page elsewhere."""

import sys
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from backend.config.pages import source
from backend.videos.problems import plain_problem, problem, unavailable

_PAGES = {
    HTTPStatus.BAD_REQUEST: ("This request cannot be understood", "Please go back and try again."),
    HTTPStatus.FORBIDDEN: ("This is not allowed", "Please sign in again and repeat what you did."),
    HTTPStatus.NOT_FOUND: ("There is nothing here", "The link may be old, or the page belongs to somebody else."),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("Something went wrong on our side", "The failure has been recorded."),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Sorry, we cannot be reached properly right now",
        "What was stored stays stored. Please try again in a few seconds.",
    ),
}


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, HTTPStatus.BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, HTTPStatus.FORBIDDEN)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, HTTPStatus.NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    # Reached as well when a middleware, not a view, met the database being away (saving a session, say).
    cause = sys.exc_info()[1]
    answer = service_unavailable(request, cause) if isinstance(cause, Exception) else None
    return answer or _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    if _is_api(request):
        return problem(HTTPStatus.FORBIDDEN, code="csrf_failed", detail=reason)
    return _answer(request, HTTPStatus.FORBIDDEN)


def service_unavailable(request: HttpRequest, cause: Exception) -> HttpResponse | None:
    """None when the cause is another one than a service that is away."""
    answer = unavailable(cause)
    if answer is None or _is_api(request):
        return answer
    page = _page(request, HTTPStatus.SERVICE_UNAVAILABLE)
    page["Retry-After"] = answer["Retry-After"]
    return page


def _answer(request: HttpRequest, status: HTTPStatus) -> HttpResponse:
    return plain_problem(status) if _is_api(request) else _page(request, status)


def _page(request: HttpRequest, status: HTTPStatus) -> HttpResponse:
    title, sentence = _PAGES[status]
    # Without the request: its context processors would ask the database who the user is.
    context: dict[str, Any] = {
        **source(request),
        "title": title,
        "sentence": sentence,
        "status": int(status),
        "visited": settings.SESSION_COOKIE_NAME in request.COOKIES,
    }
    return render(None, "sorry.html", context, status=status)  # type: ignore[arg-type]


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")
