"""One error shape for everything under /api/: problem details (RFC 9457)."""

import logging
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.views import set_rollback

from backend.gateways.errors import QueueUnavailable, StorageUnavailable
from backend.videos.errors import RequestRefused

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
DATABASE_AWAY = (OperationalError, InterfaceError)
# Whoever loses the connection while committing does not learn whether the commit went through.
_DATABASE_AWAY_SENTENCE = (
    "The database cannot be reached right now. A change that was asked for may or may not have been made; "
    "please look before asking for it again."
)

_SENTENCES = {
    HTTPStatus.NOT_FOUND: "There is nothing here.",
    HTTPStatus.FORBIDDEN: "This is not allowed.",
    HTTPStatus.BAD_REQUEST: "The request cannot be understood.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong on our side; the failure has been recorded.",
}


def problem(
    status: int,
    *,
    code: str,
    detail: str,
    errors: Mapping[str, Sequence[str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """`errors` maps each faulty field to sentences; a nested field is written with dots."""
    body = document(status, code=code, detail=detail, errors=errors)
    return JsonResponse(body, status=status, content_type=CONTENT_TYPE, headers=dict(headers or {}))


def document(
    status: int, *, code: str, detail: str, errors: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    return {
        "type": f"urn:framebatch:problem:{code.replace('_', '-')}",
        "title": code.replace("_", " ").capitalize(),
        "status": int(status),
        "detail": detail,
        "code": code,
        "errors": {field: list(sentences) for field, sentences in (errors or {}).items()},
    }


def plain_problem(status: HTTPStatus) -> HttpResponse:
    """A problem about which nothing more can be said than its HTTP status."""
    code = "internal_error" if status == HTTPStatus.INTERNAL_SERVER_ERROR else status.name.lower()
    return problem(status, code=code, detail=_SENTENCES[status])


def unavailable(exc: Exception) -> HttpResponse | None:
    """503 when the cause is that something we depend on is away, else None."""
    if isinstance(exc, DATABASE_AWAY):
        code, detail = "database_unavailable", _DATABASE_AWAY_SENTENCE
    elif isinstance(exc, StorageUnavailable):
        code, detail = "storage_unavailable", "The video storage cannot be reached right now; please try again."
    elif isinstance(exc, QueueUnavailable):
        code, detail = "queue_unavailable", "The message queue cannot be reached right now; please try again."
    else:
        return None
    logger.warning("answered 503", extra={"code": code, "cause": _first_line(exc)})
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        code=code,
        detail=detail,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's hook. What it returns None for becomes a 500 in `backend.config.errors`."""
    set_rollback()
    if isinstance(exc, RequestRefused):
        headers = {} if exc.retry_after is None else {"Retry-After": str(exc.retry_after)}
        return problem(exc.status, code=exc.code, detail=exc.sentence, errors=exc.errors, headers=headers)
    if isinstance(exc, Http404):
        return plain_problem(HTTPStatus.NOT_FOUND)
    if isinstance(exc, PermissionDenied):
        return plain_problem(HTTPStatus.FORBIDDEN)
    if isinstance(exc, exceptions.ValidationError):
        errors = flattened(exc.detail)
        return problem(exc.status_code, code="invalid", detail=_count(errors), errors=errors)
    if isinstance(exc, exceptions.APIException):
        return problem(
            exc.status_code,
            code=str(getattr(exc.detail, "code", exc.default_code)),
            detail=str(exc.detail),
            headers=_headers(exc),
        )
    return unavailable(exc)


def flattened(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """REST framework's nested faults as {"options.confidence": ["..."]}."""
    if isinstance(detail, Mapping):
        faults: dict[str, list[str]] = {}
        for name, inner in detail.items():
            faults.update(flattened(inner, f"{prefix}.{name}" if prefix else str(name)))
        return faults
    sentences = detail if isinstance(detail, Sequence) and not isinstance(detail, str) else [detail]
    return {prefix or "body": [str(sentence) for sentence in sentences]}


def _headers(exc: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if header := getattr(exc, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if wait := getattr(exc, "wait", None):
        headers["Retry-After"] = str(math.ceil(wait))
    return headers


def _count(errors: Mapping[str, Sequence[str]]) -> str:
    return f"Faulty: {', '.join(errors)}."


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]
