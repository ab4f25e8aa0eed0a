"""The codes that are not of one endpoint: each with a sentence such as its problem details hold."""

from http import HTTPStatus

_ANY = {
    HTTPStatus.UNAUTHORIZED: {
        "not_authenticated": "Authentication credentials were not provided.",
        "authentication_failed": "This API key is not known, was revoked, or has expired.",
    },
    HTTPStatus.NOT_ACCEPTABLE: {"not_acceptable": "Could not satisfy the request Accept header."},
    HTTPStatus.TOO_MANY_REQUESTS: {"throttled": "Request was throttled. Expected available in 23 seconds."},
    HTTPStatus.INTERNAL_SERVER_ERROR: {
        "internal_error": "Something went wrong on our side; the failure has been recorded."
    },
    HTTPStatus.SERVICE_UNAVAILABLE: {
        "database_unavailable": "The database cannot be reached right now.",
        "storage_unavailable": "The video storage cannot be reached right now; please try again.",
        "queue_unavailable": "The message queue cannot be reached right now; please try again.",
    },
}
_SCOPED = {HTTPStatus.FORBIDDEN: {"scope_missing": "This API key lacks the scope videos:write."}}
_BROWSER_ONLY = {
    HTTPStatus.FORBIDDEN: {
        "browser_only": "API keys are managed in a signed-in browser session, not with an API key."
    }
}
_CHANGING = {HTTPStatus.FORBIDDEN: {"csrf_failed": "CSRF Failed: CSRF token missing."}}
_WITH_ID = {HTTPStatus.NOT_FOUND: {"not_found": "There is nothing here."}}
_FAULTY = {HTTPStatus.BAD_REQUEST: {"invalid": "Some fields of the request are faulty."}}
_WITH_BODY = {
    HTTPStatus.BAD_REQUEST: {**_FAULTY[HTTPStatus.BAD_REQUEST], "parse_error": "The body is not JSON."},
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: {"body_too_large": "The request's body may have at most 256 KiB."},
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: {"unsupported_media_type": "Send the body as application/json."},
}


def of_any_endpoint(
    *, scoped: bool, changing: bool, with_id: bool, with_query: bool, with_body: bool
) -> dict[int, dict[str, str]]:
    """Status -> code -> sentence, as follows from an endpoint's kind. The caller may change it."""
    kinds = [
        _ANY,
        _SCOPED if scoped else _BROWSER_ONLY,
        _CHANGING if changing else {},
        _WITH_ID if with_id else {},
        _FAULTY if with_query else {},
        _WITH_BODY if with_body else {},
    ]
    codes: dict[int, dict[str, str]] = {}
    for kind in kinds:
        for status, sentences in kind.items():
            codes.setdefault(int(status), {}).update(sentences)
    return codes
