"""Programs ask with an API key in the Authorization header; browsers have their session."""

from django.http import HttpRequest
from rest_framework import authentication, exceptions
from rest_framework.request import Request

from backend.accounts import services
from backend.accounts.models import ApiKey, User

_KEYWORDS = ("api-key", "bearer")


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Api-Key fb_...` (or `Bearer`). `request.auth` is the key."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        given = given_key(request)
        if given is None:
            return None
        key = services.use_api_key(given)
        if key is None:
            raise exceptions.AuthenticationFailed("This API key is not known, was revoked, or has expired.")
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return "Api-Key"


def given_key(request: HttpRequest) -> str | None:
    """The key that comes with the request: empty where its form is wrong, None where the request brings none."""
    header = authentication.get_authorization_header(request).decode("latin-1").split()
    if not header or header[0].lower() not in _KEYWORDS:
        return None
    return header[1] if len(header) == 2 else ""


class SessionAuthentication(authentication.SessionAuthentication):
    """REST framework's, with a code that says what is wrong."""

    def enforce_csrf(self, request: Request) -> None:
        try:
            super().enforce_csrf(request)
        except exceptions.PermissionDenied as exc:
            raise exceptions.PermissionDenied(str(exc.detail), code="csrf_failed") from exc
